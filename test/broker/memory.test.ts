import { MemoryStore } from "../../src/broker/index.js";
import { brokerConformance } from "./conformance.js";

brokerConformance("memory:", async () => ({
  url: "memory:",
  options: { memory: new MemoryStore() },
  close: async () => {},
}));
