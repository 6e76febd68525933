import { defineService } from "mprpc/codec";
import { LoginRequest } from "../gen/bench.js";

/** What the clients call: one method that answers, one that never does. */
export const clientsService = defineService({
  typeName: "bench.Clients",
  methods: {
    echo: { name: "Echo", input: LoginRequest, output: LoginRequest },
    hang: { name: "Hang", input: LoginRequest, output: LoginRequest },
  },
});
