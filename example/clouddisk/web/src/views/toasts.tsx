import { type ComponentChildren, createContext } from "preact";
import { useCallback, useContext, useEffect, useRef, useState } from "preact/hooks";
import { useI18n } from "../i18n/context.js";

interface Toast {
  id: number;
  text: string;
  error: boolean;
  undo: (() => void) | undefined;
}
type Say = (text: string, options?: { error?: boolean; undo?: () => void }) => void;

const ToastContext = createContext<Say>(() => {});

/** Says in passing what has happened; a screen reader says it too. */
export function useToast(): Say {
  return useContext(ToastContext);
}

const shownMs = 6000;

export function ToastProvider({ children }: { children: ComponentChildren }) {
  const { t } = useI18n();
  const [toasts, setToasts] = useState<readonly Toast[]>([]);
  const lastId = useRef(0);
  const timers = useRef(new Set<ReturnType<typeof setTimeout>>());
  const remove = useCallback((id: number) => setToasts((all) => all.filter((one) => one.id !== id)), []);
  const say = useCallback<Say>(
    (text, { error = false, undo } = {}) => {
      const id = ++lastId.current;
      setToasts((all) => [...all.slice(-2), { id, text, error, undo }]);
      const timer = setTimeout(() => {
        timers.current.delete(timer);
        remove(id);
      }, shownMs);
      timers.current.add(timer);
    },
    [remove],
  );
  useEffect(() => {
    const { current } = timers;
    return () => {
      for (const timer of current) clearTimeout(timer);
    };
  }, []);
  return (
    <ToastContext.Provider value={say}>
      {children}
      <div class="toasts" role="status" aria-live="polite">
        {toasts.map(({ id, text, error, undo }) => (
          <div key={id} class={error ? "toast error" : "toast"}>
            <span>{text}</span>
            {undo !== undefined && (
              <button
                type="button"
                onClick={() => {
                  remove(id);
                  undo();
                }}
              >
                {t("action.undo")}
              </button>
            )}
          </div>
        ))}
      </div>
    </ToastContext.Provider>
  );
}
