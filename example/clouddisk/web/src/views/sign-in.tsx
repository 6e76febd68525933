import { useRef, useState } from "preact/hooks";
import type { Api } from "../api.js";
import { wrongIn } from "../credentials.js";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import { Icon, Logo } from "./icons.js";
import { type Look, LookButtons } from "./look.js";
import { useTitle } from "./title.js";

const points = [
  ["bolt", "sign.point.instant"],
  ["retry", "sign.point.resume"],
  ["shield", "sign.point.verify"],
] as const;

type FieldName = "username" | "password";
type Problem = { field: FieldName } | { error: unknown } | undefined;

/** `ended`: the disk says so. `elsewhere`: in another tab of this browser. */
export type SignedOut = "ended" | "elsewhere";

export function SignIn(props: {
  api: Api;
  look: Look;
  onSignedIn: () => Promise<void>;
  why: SignedOut | undefined;
}) {
  const { api, look, onSignedIn, why } = props;
  const { t } = useI18n();
  return (
    <div class="sign">
      <section class="sign-story">
        <div class="brand">
          <Logo />
          {t("app.name")}
        </div>
        <p class="sign-tagline">{t("app.tagline")}</p>
        <ul>
          {points.map(([icon, key]) => (
            <li key={key}>
              <Icon name={icon} />
              {t(key)}
            </li>
          ))}
        </ul>
      </section>
      <main class="sign-main">
        <div class="sign-look">
          <LookButtons look={look} />
        </div>
        {why !== undefined && (
          <p class="notice" role="status">
            {t(`sign.why.${why}`)}
          </p>
        )}
        <SignForm api={api} onSignedIn={onSignedIn} />
      </main>
    </div>
  );
}

function SignForm({ api, onSignedIn }: { api: Api; onSignedIn: () => Promise<void> }) {
  const { t } = useI18n();
  const [isNew, setIsNew] = useState(location.pathname === "/user/signup");
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [shown, setShown] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  useTitle(t(isNew ? "sign.up" : "sign.in"));
  const form = useRef<HTMLFormElement>(null);

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const name = username.trim();
    const empty = name === "" ? "username" : password === "" ? "password" : undefined;
    const field = isNew ? wrongIn(name, password) : empty;
    if (field !== undefined) {
      setProblem({ field });
      form.current?.querySelector<HTMLInputElement>(`[name="${field}"]`)?.focus();
      return;
    }
    setBusy(true);
    setProblem(undefined);
    try {
      if (isNew) await api.signup(name, password);
      await api.signin(name, password);
      await onSignedIn();
    } catch (error) {
      setProblem({ error });
      setBusy(false);
    }
  };
  const wrong = problem !== undefined && "field" in problem ? problem.field : undefined;
  const said =
    wrong !== undefined
      ? t(isNew ? `refusal.${wrong}` : `sign.${wrong}.missing`)
      : problem !== undefined && "error" in problem && describe(problem.error, t);
  return (
    // What is wrong is said in the language of the page, which need not be the browser's.
    <form class="sign-form" onSubmit={submit} ref={form} noValidate>
      <h1>{t(isNew ? "sign.up.title" : "sign.in.title")}</h1>
      <Field name="username" value={username} onInput={setUsername} {...{ isNew, wrong }} />
      <Field name="password" value={password} onInput={setPassword} {...{ isNew, wrong, shown }} />
      <label class="check">
        <input type="checkbox" checked={shown} onChange={(event) => setShown(event.currentTarget.checked)} />
        {t("sign.password.show")}
      </label>
      <p class="form-error" role="alert">
        {said}
      </p>
      <button type="submit" class="button primary big" disabled={busy}>
        {t(isNew ? "sign.up" : "sign.in")}
      </button>
      <button
        type="button"
        class="link"
        onClick={() => {
          setIsNew(!isNew);
          setProblem(undefined);
        }}
      >
        {t(isNew ? "sign.toIn" : "sign.toUp")}
      </button>
    </form>
  );
}

function Field(props: {
  name: FieldName;
  value: string;
  onInput: (value: string) => void;
  isNew: boolean;
  wrong: FieldName | undefined;
  shown?: boolean;
}) {
  const { name, value, onInput, isNew, wrong, shown = false } = props;
  const { t } = useI18n();
  const isPassword = name === "password";
  return (
    <div class="field">
      <label for={name}>{t(`sign.${name}`)}</label>
      <input
        id={name}
        name={name}
        type={isPassword && !shown ? "password" : "text"}
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
        autoComplete={isPassword ? (isNew ? "new-password" : "current-password") : "username"}
        autoCapitalize="none"
        spellcheck={false}
        required
        aria-invalid={wrong === name}
        aria-describedby={isNew ? `${name}-hint` : undefined}
      />
      {isNew && <small id={`${name}-hint`}>{t(`sign.${name}.hint`)}</small>}
    </div>
  );
}
