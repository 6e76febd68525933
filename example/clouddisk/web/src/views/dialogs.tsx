import { useState } from "preact/hooks";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import { Dialog } from "./dialog.js";

/** Asks for a name; what goes wrong is said in it, and it stays. */
export function NameDialog(props: {
  title: string;
  label: string;
  action: string;
  initial: string;
  onSubmit: (name: string) => Promise<void>;
  onClose: () => void;
}) {
  const { title, label, action, initial, onSubmit, onClose } = props;
  const { t } = useI18n();
  const [name, setName] = useState(initial);
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      // Spaces at the ends are left to a name that has them; typed by accident they are not meant.
      await onSubmit(initial === initial.trim() ? name.trim() : name);
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        <label class="field">
          <span>{label}</span>
          <input
            data-focus
            value={name}
            required
            maxLength={255}
            onInput={(event) => setName(event.currentTarget.value)}
            onFocus={(event) => {
              // The part before the extension, as file managers do.
              const dot = initial.lastIndexOf(".");
              event.currentTarget.setSelectionRange(0, dot > 0 ? dot : initial.length);
            }}
          />
        </label>
        <p class="form-error" role="alert">
          {error === undefined ? "" : describe(error, t)}
        </p>
        <footer>
          <button type="button" class="button" onClick={onClose}>
            {t("action.cancel")}
          </button>
          <button type="submit" class="button primary" disabled={busy || name.trim() === ""}>
            {action}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

export function ConfirmDialog(props: {
  title: string;
  text: string;
  action: string;
  onConfirm: () => void;
  onClose: () => void;
}) {
  const { title, text, action, onConfirm, onClose } = props;
  const { t } = useI18n();
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{text}</p>
      <footer>
        <button type="button" class="button" data-focus onClick={onClose}>
          {t("action.cancel")}
        </button>
        <button
          type="button"
          class="button danger"
          onClick={() => {
            onClose();
            onConfirm();
          }}
        >
          {action}
        </button>
      </footer>
    </Dialog>
  );
}
