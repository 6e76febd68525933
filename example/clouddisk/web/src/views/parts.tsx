import type { ComponentChildren, RefObject } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useI18n } from "../i18n/context.js";
import { Icon, type IconName } from "./icons.js";

/** A button with a picture only: its label is what it is called. */
export function IconButton(props: {
  icon: IconName;
  label: string;
  onClick: () => void;
  class?: string;
  disabled?: boolean;
}) {
  const { icon, label, onClick, class: extra = "", disabled = false } = props;
  return (
    <button
      type="button"
      class={`icon-button ${extra}`}
      aria-label={label}
      title={label}
      onClick={onClick}
      disabled={disabled}
    >
      <Icon name={icon} />
    </button>
  );
}

export interface MenuItem {
  icon: IconName;
  label: string;
  run: () => void;
  danger?: boolean;
  /** One of several, of which one holds. */
  checked?: boolean;
}

/** A button that opens a menu; arrows, Home, End and Escape work in it. */
export function Menu(props: {
  label: string;
  items: readonly MenuItem[];
  children: ComponentChildren;
  class?: string;
}) {
  const { label, items, children, class: style = "icon-button" } = props;
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  // Before the next key is pressed.
  useLayoutEffect(() => {
    if (!open) return;
    place(list, button);
    list.current?.querySelector("button")?.focus();
    const onPointer = (event: Event): void => {
      const target = event.target as Node;
      if (!list.current?.contains(target) && !button.current?.contains(target)) setOpen(false);
    };
    const onMove = (): void => setOpen(false);
    document.addEventListener("pointerdown", onPointer);
    addEventListener("resize", onMove);
    addEventListener("scroll", onMove, true);
    return () => {
      document.removeEventListener("pointerdown", onPointer);
      removeEventListener("resize", onMove);
      removeEventListener("scroll", onMove, true);
    };
  }, [open]);
  const close = (): void => {
    setOpen(false);
    button.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      event.stopPropagation();
      close();
      return;
    }
    const buttons = [...(list.current?.querySelectorAll("button") ?? [])];
    const focused = document.activeElement;
    const at = focused instanceof HTMLButtonElement ? buttons.indexOf(focused) : -1;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    buttons.at(to % buttons.length)?.focus();
  };
  return (
    <>
      <button
        type="button"
        ref={button}
        class={style}
        aria-label={label}
        title={label}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        onClick={() => setOpen(!open)}
      >
        {children}
      </button>
      {open && (
        <div
          class="menu"
          role="menu"
          id={id}
          ref={list}
          aria-label={label}
          tabIndex={-1}
          onKeyDown={onKeyDown}
        >
          {items.map((item) => (
            <button
              key={item.label}
              type="button"
              {...(item.checked === undefined
                ? { role: "menuitem" }
                : { role: "menuitemradio", "aria-checked": item.checked })}
              tabIndex={-1}
              class={item.danger ? "danger" : ""}
              onClick={() => {
                close();
                item.run();
              }}
            >
              <Icon name={item.icon} />
              {item.label}
            </button>
          ))}
        </div>
      )}
    </>
  );
}

/** Beneath its button, or above it where there is no room. */
function place(list: RefObject<HTMLElement>, button: RefObject<HTMLElement>): void {
  if (list.current === null || button.current === null) return;
  const from = button.current.getBoundingClientRect();
  const { offsetWidth, offsetHeight, style } = list.current;
  const beneath = from.bottom + 4;
  const top = beneath + offsetHeight < innerHeight ? beneath : Math.max(8, from.top - offsetHeight - 4);
  style.top = `${top}px`;
  style.left = `${Math.max(8, Math.min(from.left, innerWidth - offsetWidth - 8, from.right - offsetWidth))}px`;
}

/** A modal dialog; the browser keeps the focus in it and gives it back. */
export function Dialog(props: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  wide?: boolean;
}) {
  const { title, onClose, children, wide = false } = props;
  const { t } = useI18n();
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Before the next key is pressed.
  useLayoutEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    dialog.current?.querySelector<HTMLElement>("[data-focus]")?.focus();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class={wide ? "dialog wide" : "dialog"}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onPointerDown={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      <div class="dialog-body">
        <header>
          <h2 id={id}>{title}</h2>
          <IconButton icon="close" label={t("action.close")} onClick={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  );
}
