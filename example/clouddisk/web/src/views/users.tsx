import { useRef, useState } from "preact/hooks";
import type { Api } from "../api.js";
import { madeUpPassword, wrongIn } from "../credentials.js";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import { CredentialsFields, type FieldName, focusField } from "./credentials-fields.js";

type State =
  | { busy: true }
  | { wrong: FieldName }
  | { error: unknown }
  | { made: { name: string; password: string } }
  | undefined;

/** Where the operator makes users, also where nobody else may. */
export function Users({ api }: { api: Api }) {
  const { t } = useI18n();
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [state, setState] = useState<State>();
  const form = useRef<HTMLFormElement>(null);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const name = username.trim();
    const wrong = wrongIn(name, password);
    if (wrong !== undefined) {
      setState({ wrong });
      focusField(form, wrong);
      return;
    }
    setState({ busy: true });
    try {
      await api.signup(name, password);
      // It is shown once more: nobody can look it up.
      setState({ made: { name, password } });
      setUsername("");
      setPassword("");
      focusField(form, "username");
    } catch (error) {
      setState({ error });
    }
  };
  const wrong = state !== undefined && "wrong" in state ? state.wrong : undefined;
  return (
    <section>
      <div class="page-head">
        <h1>{t("users.title")}</h1>
      </div>
      <form class="card user-form" onSubmit={submit} ref={form} noValidate>
        <p class="muted">{t("users.hint")}</p>
        <CredentialsFields
          {...{ username, password, wrong }}
          isNew
          of="somebody else"
          onUsername={setUsername}
          onPassword={setPassword}
        />
        <button type="button" class="link" onClick={() => setPassword(madeUpPassword())}>
          {t("users.makeUp")}
        </button>
        <p class="form-error" role="alert">
          {wrong !== undefined && t(`refusal.${wrong}`)}
          {state !== undefined && "error" in state && describe(state.error, t)}
        </p>
        <p class="form-done" role="status">
          {state !== undefined && "made" in state && t("users.made", state.made)}
        </p>
        <button type="submit" class="button primary big" disabled={state !== undefined && "busy" in state}>
          {t("users.make")}
        </button>
      </form>
    </section>
  );
}
