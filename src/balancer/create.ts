import type { Balancer, Candidate } from "./balancer.js";
import { PowerOfTwoChoices } from "./p2c.js";
import { RandomChoice } from "./random.js";
import { RoundRobin } from "./round-robin.js";

/** The balancer of a name: `roundrobin`, `random` or `p2c`. */
export function createBalancer<C extends Candidate>(
  name: "roundrobin" | "random" | "p2c",
  random: () => number,
): Balancer<C> {
  switch (name) {
    case "random":
      return new RandomChoice<C>(random);
    case "p2c":
      return new PowerOfTwoChoices<C>(random);
    default:
      return new RoundRobin<C>(random);
  }
}
