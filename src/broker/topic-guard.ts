import { AuditLog, describeCaller } from "../auth/audit.js";
import { Policy, type PolicyRules, type TopicAction } from "../auth/policy.js";
import { WatchedFile } from "../auth/watched-file.js";
import type { Peer } from "../call/peer.js";
import { messages } from "../error/messages.js";
import { RpcError } from "../error/rpc-error.js";
import { Status, statusName } from "../error/status.js";
import type { TopicDefinition } from "../protobuf/topic.js";
import type { Runtime } from "../runtime/runtime.js";
import type { BrokerEmitter } from "./events.js";

/** What a process is called that proves nothing to others: as calls within it are. */
const unproved = "inproc:node";

/**
 * Who may publish and subscribe to which topic. A broker's client is its process, and so is judged by the identity that the process proves to
 * others; what it does on behalf of a caller must be allowed to both.
 */
export class TopicGuard {
  readonly #runtime: Runtime;
  readonly #events: BrokerEmitter;
  readonly #audit: AuditLog;
  readonly #file: WatchedFile<Policy> | undefined;
  #policy: Policy | undefined;

  /**
   * `rules` come before those of the conf. `onChange`: other rules are in force. Throws `PolicyError` for rules that are none, and `Error` for a
   * file that cannot be read.
   */
  constructor(runtime: Runtime, rules: PolicyRules | undefined, events: BrokerEmitter, onChange: () => void) {
    this.#runtime = runtime;
    this.#events = events;
    this.#audit = new AuditLog(runtime.clock, runtime.log, "uses of topics");
    const source = runtime.settings.auth.policy;
    if (rules !== undefined) this.#policy = Policy.of(rules);
    else if (source !== undefined) {
      const { clock, log } = runtime;
      this.#file = new WatchedFile(
        source.file,
        source.parse,
        { clock, log, setting: source.setting ?? "auth.policy" },
        (policy) => {
          this.#policy = policy;
          onChange();
        },
      );
      this.#policy = this.#file.value;
    }
  }

  get #process(): Peer {
    const transport = this.#runtime.transport.identity ?? unproved;
    return { address: "this process", protocol: "mprpc", identities: { transport } };
  }

  /** Why it may not be, which is logged; undefined when it may. */
  judge(topic: TopicDefinition, action: TopicAction, caller: Peer | undefined): RpcError | undefined {
    const policy = this.#policy;
    if (policy === undefined || !policy.coversTopics) return undefined;
    const own = this.#process;
    if (!policy.allowsTopic(topic.name, action, own)) {
      return this.#deny(topic, action, own, messages.topicOfProcess(describeCaller(own)));
    }
    if (caller === undefined || policy.allowsTopic(topic.name, action, caller)) return undefined;
    return this.#deny(topic, action, caller, describeCaller(caller));
  }

  #deny(topic: TopicDefinition, action: TopicAction, peer: Peer, who: string): RpcError {
    const text = messages.topicNotAllowed(topic.name, action, who);
    const error = new RpcError(Status.PERMISSION_DENIED, text, { executed: "never" });
    this.#audit.denied(`topic:${topic.name}/${action}`, peer, statusName(error.code), error.rawMessage);
    if (this.#events.has("denied")) this.#events.emit("denied", { topic, action, peer, error });
    return error;
  }

  close(): void {
    this.#file?.close();
    this.#audit.close();
  }
}
