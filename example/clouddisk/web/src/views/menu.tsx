import type { ComponentChildren, RefObject } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon, type IconName } from "./icons.js";

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
  /** Asked for when it opens. */
  items: () => readonly MenuItem[];
  children: ComponentChildren;
  class?: string;
}) {
  const { label, items, children, class: style = "icon-button" } = props;
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();
  const close = (): void => {
    setOpen(false);
    button.current?.focus();
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
        <MenuList {...{ id, label, button }} items={items()} onClose={close} onLeave={() => setOpen(false)} />
      )}
    </>
  );
}

function MenuList(props: {
  id: string;
  label: string;
  items: readonly MenuItem[];
  button: RefObject<HTMLButtonElement>;
  /** The button has the focus again. */
  onClose: () => void;
  /** Something else has it. */
  onLeave: () => void;
}) {
  const { id, label, items, button, onClose, onLeave } = props;
  const list = useRef<HTMLDivElement>(null);
  // Before the next key is pressed.
  useLayoutEffect(() => {
    place(list, button);
    list.current?.querySelector("button")?.focus();
    const onPointer = (event: Event): void => {
      const target = event.target as Node;
      if (!list.current?.contains(target) && !button.current?.contains(target)) onLeave();
    };
    document.addEventListener("pointerdown", onPointer);
    addEventListener("resize", onLeave);
    addEventListener("scroll", onLeave, true);
    return () => {
      document.removeEventListener("pointerdown", onPointer);
      removeEventListener("resize", onLeave);
      removeEventListener("scroll", onLeave, true);
    };
  }, []);
  return (
    <div
      class="menu"
      role="menu"
      id={id}
      ref={list}
      aria-label={label}
      tabIndex={-1}
      onKeyDown={(event) => onMenuKey(event, list.current, onClose)}
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
            onClose();
            item.run();
          }}
        >
          <Icon name={item.icon} />
          {item.label}
        </button>
      ))}
    </div>
  );
}

function onMenuKey(event: KeyboardEvent, list: HTMLElement | null, onClose: () => void): void {
  if (event.key === "Escape" || event.key === "Tab") {
    event.preventDefault();
    event.stopPropagation();
    onClose();
    return;
  }
  const buttons = [...(list?.querySelectorAll("button") ?? [])];
  const focused = document.activeElement;
  const at = focused instanceof HTMLButtonElement ? buttons.indexOf(focused) : -1;
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  buttons.at(to % buttons.length)?.focus();
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
