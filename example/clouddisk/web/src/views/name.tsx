import { codeOf, partsOfName } from "../unseen.js";

/** A name as it is: what cannot be seen in it is marked, and its direction does not leave it. */
export function Name({ name }: { name: string }) {
  const parts = partsOfName(name);
  return (
    <bdi class="name">
      {parts.length === 1 && parts[0]?.kind === "plain"
        ? name
        : parts.map(({ text, kind }, at) =>
            kind === "plain" ? (
              text
            ) : (
              <span key={at} class={kind} data-code={kind === "unseen" ? codeOf(text) : undefined}>
                {text}
              </span>
            ),
          )}
    </bdi>
  );
}
