import type { Balancer, Candidate } from "./balancer.js";

/** A schedule longer than this is scaled down: shares become coarser, memory stays small. */
const scheduleMax = 4096;

/**
 * Each endpoint in turn. Weights that differ are spread by nginx's smooth weighted round robin, laid out once into a
 * schedule, so that a pick costs the same with one endpoint or a thousand.
 */
export class RoundRobin<C extends Candidate> implements Balancer<C> {
  #schedule: readonly C[] = [];
  #next: number;

  constructor(random: () => number) {
    // Channels that start at the same time must not all begin with the same endpoint.
    this.#next = Math.floor(random() * 0x7fff_ffff);
  }

  update(candidates: readonly C[]): void {
    this.#schedule = layOut(candidates);
  }

  pick(): C | undefined {
    const { length } = this.#schedule;
    if (length === 0) return undefined;
    this.#next = (this.#next + 1) % length;
    return this.#schedule[this.#next];
  }
}

function layOut<C extends Candidate>(candidates: readonly C[]): readonly C[] {
  const first = candidates[0]?.weight;
  if (candidates.every(({ weight }) => weight === first)) return candidates;
  const smallest = Math.min(...candidates.map(({ weight }) => weight));
  const sum = candidates.reduce((total, { weight }) => total + weight / smallest, 0);
  const scale = Math.min(1, scheduleMax / sum) / smallest;
  const rows = candidates.map((candidate) => ({
    candidate,
    share: Math.max(1, Math.round(candidate.weight * scale)),
    current: 0,
  }));
  const total = rows.reduce((all, { share }) => all + share, 0);
  const schedule: C[] = [];
  for (let i = 0; i < total; i++) {
    let best = rows[0] as (typeof rows)[number];
    for (const row of rows) {
      row.current += row.share;
      if (row.current > best.current) best = row;
    }
    best.current -= total;
    schedule.push(best.candidate);
  }
  return schedule;
}
