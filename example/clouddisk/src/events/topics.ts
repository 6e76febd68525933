import { createHash } from "node:crypto";
import { defineTopic, type TopicDefinition } from "mprpc/broker";
import { JobDue, UserChanged } from "./gen/events.js";

/** To every instance of account. */
export const userChanged = defineTopic("clouddisk.changes", UserChanged);

/** Jobs that any process of transfer can do. */
export const deleteDue = defineTopic("clouddisk.transfer.delete", JobDue);

/** Jobs for the processes of transfer that have the staged files of this node. */
export function putDue(node: string): TopicDefinition<JobDue, Partial<JobDue>> {
  // A dot of a name would end a part of the topic's; the hash keeps names apart that differ in dots alone.
  const part = node.includes(".")
    ? `${node.replaceAll(".", "_")}-${createHash("sha256").update(node).digest("hex").slice(0, 8)}`
    : node;
  return defineTopic(`clouddisk.transfer.put.${part}`, JobDue);
}
