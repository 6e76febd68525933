import { useState } from "preact/hooks";
import type { Api } from "../api.js";
import { describe } from "../describe.js";
import { useI18n } from "../i18n/context.js";
import { Icon, Logo } from "./icons.js";
import { type Look, LookButtons } from "./look.js";

const points = [
  ["bolt", "sign.point.instant"],
  ["retry", "sign.point.resume"],
  ["shield", "sign.point.verify"],
] as const;

export function SignIn(props: { api: Api; look: Look; onSignedIn: () => Promise<void> }) {
  const { api, look, onSignedIn } = props;
  const { t } = useI18n();
  const [isNew, setIsNew] = useState(location.pathname === "/user/signup");
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [shown, setShown] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      if (isNew) await api.signup(username.trim(), password);
      await api.signin(username.trim(), password);
      await onSignedIn();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };

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
        <form class="sign-form" onSubmit={submit}>
          <h1>{t(isNew ? "sign.up.title" : "sign.in.title")}</h1>
          <div class="field">
            <label for="username">{t("sign.username")}</label>
            <input
              id="username"
              name="username"
              value={username}
              onInput={(event) => setUsername(event.currentTarget.value)}
              autoComplete="username"
              autoCapitalize="none"
              spellcheck={false}
              required
              minLength={3}
              maxLength={64}
              aria-describedby="username-hint"
            />
            <small id="username-hint" hidden={!isNew}>
              {t("sign.username.hint")}
            </small>
          </div>
          <div class="field">
            <label for="password">{t("sign.password")}</label>
            <input
              id="password"
              name="password"
              type={shown ? "text" : "password"}
              value={password}
              onInput={(event) => setPassword(event.currentTarget.value)}
              autoComplete={isNew ? "new-password" : "current-password"}
              required
              minLength={5}
              maxLength={128}
              aria-describedby="password-hint"
            />
            <small id="password-hint" hidden={!isNew}>
              {t("sign.password.hint")}
            </small>
          </div>
          <label class="check">
            <input
              type="checkbox"
              checked={shown}
              onChange={(event) => setShown(event.currentTarget.checked)}
            />
            {t("sign.password.show")}
          </label>
          <p class="form-error" role="alert">
            {error === undefined ? "" : describe(error, t)}
          </p>
          <button type="submit" class="button primary big" disabled={busy}>
            {t(isNew ? "sign.up" : "sign.in")}
          </button>
          <button
            type="button"
            class="link"
            onClick={() => {
              setIsNew(!isNew);
              setError(undefined);
            }}
          >
            {t(isNew ? "sign.toIn" : "sign.toUp")}
          </button>
        </form>
      </main>
    </div>
  );
}
