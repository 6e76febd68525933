import type { RefObject } from "preact";
import { useState } from "preact/hooks";
import { useI18n } from "../i18n/context.js";

export type FieldName = "username" | "password";

/**
 * A user's name and password. `isNew` shows what they may be. Of `somebody else` the browser neither fills them in nor keeps them as those
 * of who is signed in.
 */
export function CredentialsFields(props: {
  username: string;
  password: string;
  onUsername: (value: string) => void;
  onPassword: (value: string) => void;
  isNew: boolean;
  of: "oneself" | "somebody else";
  wrong: FieldName | undefined;
}) {
  const { username, password, onUsername, onPassword, isNew, of, wrong } = props;
  const { t } = useI18n();
  const [shown, setShown] = useState(of === "somebody else");
  const both = { isNew, wrong };
  return (
    <>
      <Field
        {...both}
        name="username"
        type="text"
        value={username}
        onInput={onUsername}
        autoComplete={of === "oneself" ? "username" : "off"}
      />
      <Field
        {...both}
        name="password"
        type={shown ? "text" : "password"}
        value={password}
        onInput={onPassword}
        autoComplete={isNew ? "new-password" : "current-password"}
      />
      <label class="check">
        <input type="checkbox" checked={shown} onChange={(event) => setShown(event.currentTarget.checked)} />
        {t("sign.password.show")}
      </label>
    </>
  );
}

export function focusField(form: RefObject<HTMLFormElement>, name: FieldName): void {
  form.current?.querySelector<HTMLInputElement>(`[name="${name}"]`)?.focus();
}

function Field(props: {
  name: FieldName;
  type: "text" | "password";
  value: string;
  onInput: (value: string) => void;
  autoComplete: "username" | "off" | "new-password" | "current-password";
  isNew: boolean;
  wrong: FieldName | undefined;
}) {
  const { name, type, value, onInput, autoComplete, isNew, wrong } = props;
  const { t } = useI18n();
  return (
    <div class="field">
      <label for={name}>{t(`sign.${name}`)}</label>
      <input
        id={name}
        name={name}
        type={type}
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
        autoComplete={autoComplete}
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
