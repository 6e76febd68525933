import { isMessage, type MessageModel } from "./model.js";

/**
 * Finds the messages that can hold themselves and those that can hold such a one: Tarjan's strongly connected components
 * (R. Tarjan, "Depth-first search and linear graph algorithms", 1972), without recursion, in time linear in the fields.
 */
export function findRecursion(messages: readonly MessageModel[]): void {
  const visits = new Map<MessageModel, Visit>();
  const open: MessageModel[] = [];
  for (const message of messages) if (!visits.has(message)) walk(message, visits, open);
}

interface Visit {
  readonly index: number;
  /** The smallest index that is reached from here and still open. */
  low: number;
  onStack: boolean;
  readonly next: Iterator<MessageModel>;
}

function walk(root: MessageModel, visits: Map<MessageModel, Visit>, open: MessageModel[]): void {
  const enter = (message: MessageModel): MessageModel => {
    const index = visits.size;
    visits.set(message, { index, low: index, onStack: true, next: heldBy(message).values() });
    open.push(message);
    return message;
  };
  const path = [enter(root)];
  for (let message = path.at(-1); message !== undefined; message = path.at(-1)) {
    const visit = visits.get(message) as Visit;
    const { value: held, done } = visit.next.next();
    if (done !== true) {
      const known = visits.get(held);
      if (known === undefined) path.push(enter(held));
      else if (known.onStack) visit.low = Math.min(visit.low, known.index);
      continue;
    }
    path.pop();
    const above = path.at(-1);
    const aboveVisit = above === undefined ? undefined : visits.get(above);
    if (aboveVisit !== undefined) aboveVisit.low = Math.min(aboveVisit.low, visit.low);
    if (visit.low === visit.index) close(message, visits, open);
  }
}

/** What a component holds is closed before it, so `countsDepth` of what is outside of it is known. */
function close(root: MessageModel, visits: Map<MessageModel, Visit>, open: MessageModel[]): void {
  const component = open.splice(open.lastIndexOf(root));
  const recursive = component.length > 1 || heldBy(root).has(root);
  const countsDepth =
    recursive || component.some((message) => [...heldBy(message)].some((held) => held.countsDepth));
  for (const message of component) {
    (visits.get(message) as Visit).onStack = false;
    message.recursive = recursive;
    message.countsDepth = countsDepth;
  }
}

function heldBy(message: MessageModel): Set<MessageModel> {
  return new Set(message.fields.map(({ type }) => type).filter(isMessage));
}
