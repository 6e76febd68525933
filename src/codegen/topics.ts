import { isTopicName, topicNameForm } from "../protobuf/topic.js";
import { CodegenError, type Problem } from "./error.js";
import type { FileModel, MessageModel } from "./model.js";

/**
 * Refuses names that are none, and two messages with one topic: its subscribers decode one type. Throws `CodegenError` with all that is
 * wrong.
 */
export function checkTopics(files: readonly FileModel[], pathOf: (name: string) => string): void {
  const problems: Problem[] = [];
  const owners = new Map<string, MessageModel>();
  for (const file of files) {
    for (const message of file.messages) {
      const { topic } = message;
      if (topic === undefined) continue;
      const { name, line, column } = topic;
      const complain = (text: string): void => {
        problems.push({ file: pathOf(file.name), line, column, message: `option (mprpc.topic) ${text}` });
      };
      const owner = owners.get(name);
      if (!isTopicName(name)) complain(`takes ${topicNameForm}, not ${JSON.stringify(name.slice(0, 300))}`);
      else if (owner !== undefined) complain(`is wrong: ${name} is the topic of ${owner.fullName} already`);
      else owners.set(name, message);
    }
  }
  if (problems.length > 0) throw new CodegenError(problems);
}
