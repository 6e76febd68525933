import { useEffect, useRef, useState } from "preact/hooks";
import type { Api, SignupPolicy } from "../api.js";
import { wrongIn } from "../credentials.js";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import type { Translate } from "../i18n/translate.js";
import { CredentialsFields, type FieldName, focusField } from "./credentials-fields.js";
import { Icon, Logo } from "./icons.js";
import { type Look, LookButtons } from "./look.js";
import { useTitle } from "./title.js";

const points = [
  ["bolt", "sign.point.instant"],
  ["retry", "sign.point.resume"],
  ["shield", "sign.point.verify"],
] as const;

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

/** Undefined until the disk has said it, or where it does not: then it is said to who tries. */
function useSignupPolicy(api: Api): SignupPolicy | undefined {
  const [policy, setPolicy] = useState<SignupPolicy>();
  useEffect(() => {
    api.signupPolicy().then(setPolicy, () => {});
  }, [api]);
  return policy;
}

/** There is nothing to fill in. */
function ClosedSignup({ contact, onBack }: { contact: string; onBack: () => void }) {
  const { t } = useI18n();
  return (
    <div class="sign-form sign-closed">
      <h1>{t("sign.closed")}</h1>
      <p>{askWhom(contact, t)}</p>
      <button type="button" class="link" onClick={onBack}>
        {t("sign.toIn")}
      </button>
    </div>
  );
}

function askWhom(contact: string, t: Translate): string {
  return contact === "" ? t("sign.closed.operator") : t("sign.closed.contact", { contact });
}

function SignForm({ api, onSignedIn }: { api: Api; onSignedIn: () => Promise<void> }) {
  const { t } = useI18n();
  const [isNew, setIsNew] = useState(location.pathname === "/user/signup");
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  useTitle(t(isNew ? "sign.up" : "sign.in"));
  const form = useRef<HTMLFormElement>(null);
  const policy = useSignupPolicy(api);
  const closed = policy?.open === false;
  const toggle = (): void => {
    setIsNew(!isNew);
    setProblem(undefined);
  };

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const name = username.trim();
    const empty = name === "" ? "username" : password === "" ? "password" : undefined;
    const field = isNew ? wrongIn(name, password) : empty;
    if (field !== undefined) {
      setProblem({ field });
      focusField(form, field);
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
  if (isNew && closed) return <ClosedSignup contact={policy.contact} onBack={toggle} />;
  return (
    // What is wrong is said in the language of the page, which need not be the browser's.
    <form class="sign-form" onSubmit={submit} ref={form} noValidate>
      <h1>{t(isNew ? "sign.up.title" : "sign.in.title")}</h1>
      <CredentialsFields
        {...{ username, password, isNew, wrong }}
        of="oneself"
        onUsername={setUsername}
        onPassword={setPassword}
      />
      <p class="form-error" role="alert">
        {said}
      </p>
      <button type="submit" class="button primary big" disabled={busy}>
        {t(isNew ? "sign.up" : "sign.in")}
      </button>
      {closed ? (
        <p class="muted">
          {t("sign.closed")} {askWhom(policy.contact, t)}
        </p>
      ) : (
        <button type="button" class="link" onClick={toggle}>
          {t(isNew ? "sign.toIn" : "sign.toUp")}
        </button>
      )}
    </form>
  );
}
