import { type ComponentChildren, createContext } from "preact";
import { useCallback, useContext, useEffect, useRef, useState } from "preact/hooks";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import type { Translate } from "../i18n/translate.js";
import type { Failed } from "../upload/pick.js";

interface Toast {
  id: number;
  text: string;
  error: boolean;
  undo: (() => void) | undefined;
}
export type Say = (text: string, options?: { error?: boolean; undo?: () => void }) => void;

const ToastContext = createContext<Say>(() => {});

/** Says in passing what has happened; a screen reader says it too. */
export function useToast(): Say {
  return useContext(ToastContext);
}

/** The first by its name and with its reason, the names of some more, and how many there are besides. */
export function tellFailed(failed: readonly Failed[], say: Say, t: Translate): void {
  const [first, ...others] = failed;
  if (first === undefined) return;
  const why = describe(first.error, t);
  const named = others.slice(0, namesMax).map(({ name }) => name);
  const facts = { name: first.name, why, names: named.join(", "), count: others.length - named.length };
  const key = others.length === 0 ? "error.of" : facts.count === 0 ? "error.ofSome" : "error.ofMany";
  say(t(key, facts), { error: true });
}

const namesMax = 3;
const shownMs = 8000;

export function ToastProvider({ children }: { children: ComponentChildren }) {
  const [toasts, setToasts] = useState<readonly Toast[]>([]);
  const [held, setHeld] = useState(false);
  const lastId = useRef(0);
  const remove = useCallback((id: number) => {
    setToasts((all) => all.filter((one) => one.id !== id));
    // What is pressed and goes is not left.
    setHeld(false);
  }, []);
  const say = useCallback<Say>((text, { error = false, undo } = {}) => {
    const id = ++lastId.current;
    setToasts((all) => [...all.slice(-2), { id, text, error, undo }]);
  }, []);
  const hold = (): void => setHeld(true);
  const release = (): void => setHeld(false);
  return (
    <ToastContext.Provider value={say}>
      {children}
      {/* Whoever points at it, or is in it, still reads. */}
      <div
        class="toasts"
        role="status"
        aria-live="polite"
        onPointerEnter={hold}
        onPointerLeave={release}
        onFocusIn={hold}
        onFocusOut={release}
      >
        {toasts.map((toast) => (
          <ToastRow key={toast.id} toast={toast} held={held} onGone={remove} />
        ))}
      </div>
    </ToastContext.Provider>
  );
}

function ToastRow(props: { toast: Toast; held: boolean; onGone: (id: number) => void }) {
  const { toast, held, onGone } = props;
  const { id, text, error, undo } = toast;
  const { t } = useI18n();
  useEffect(() => {
    if (held) return;
    const timer = setTimeout(() => onGone(id), shownMs);
    return () => clearTimeout(timer);
  }, [id, held, onGone]);
  return (
    <div class={error ? "toast error" : "toast"}>
      <span>{text}</span>
      {undo !== undefined && (
        <button
          type="button"
          onClick={() => {
            onGone(id);
            undo();
          }}
        >
          {t("action.undo")}
        </button>
      )}
    </div>
  );
}
