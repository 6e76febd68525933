const paths = {
  folder:
    "M3 6.5A1.5 1.5 0 0 1 4.5 5h4.6l2 2.2h8.4A1.5 1.5 0 0 1 21 8.7v9.8a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 18.5z",
  file: "M6 3h8l5 5v12.5a.5.5 0 0 1-.5.5h-12a.5.5 0 0 1-.5-.5zM14 3v5h5",
  image: "M4 5h16v14H4zM4 16l4.5-4.5 4 4 3-3L20 17M9 9.2v.1",
  text: "M6 3h8l5 5v13H6zM14 3v5h5M9 12.5h7M9 16h7",
  pdf: "M6 3h8l5 5v13H6zM14 3v5h5M9 17v-4.5h1.4a1.4 1.4 0 0 1 0 2.8H9",
  video: "M3.5 6h11v12h-11zM14.5 10.5l6-3.5v10l-6-3.5",
  audio:
    "M9 18V6l10-2v12M9 18a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0zM19 16a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0z",
  archive: "M4 4h16v5H4zM5.5 9v11h13V9M10 13h4",
  trash: "M4.5 7h15M9.5 7V4.5h5V7M6.5 7l.8 13h9.4l.8-13M10.2 11v5.5M13.8 11v5.5",
  services: "M4 4.5h16v6H4zM4 13.5h16v6H4zM7.5 7.5v.1M7.5 16.5v.1",
  alert: "M12 20.5a8.5 8.5 0 1 1 0-17 8.5 8.5 0 0 1 0 17zM12 7.5v5.5M12 16.4v.1",
  users:
    "M9.5 11.5a3.5 3.5 0 1 1 0-7 3.5 3.5 0 0 1 0 7zM3 19.5c.5-7 12.5-7 13 0M15 4.8a3.5 3.5 0 0 1 0 6.4M17.5 14c2 .8 3.3 2.6 3.5 5.5",
  search: "M10.5 17a6.5 6.5 0 1 1 0-13 6.5 6.5 0 0 1 0 13zM20 20l-4.8-4.8",
  upload: "M12 16V4.5M7 9l5-5 5 5M4.5 16v3.5h15V16",
  download: "M12 4v11.5M7 11l5 5 5-5M4.5 19.5h15",
  more: "M12 5v.9M12 11.6v.9M12 18.1v.9",
  close: "M6 6l12 12M18 6L6 18",
  pause: "M8.5 5.5v13M15.5 5.5v13",
  play: "M8 5.5v13l10.5-6.5z",
  retry: "M19.5 12a7.5 7.5 0 1 1-2.4-5.5M19.5 4v4.5H15",
  check: "M5 12.5l4.5 4.5L19 7.5",
  chevron: "M9 5.5l6.5 6.5L9 18.5",
  up: "M5.5 15l6.5-6.5L18.5 15",
  sort: "M7.5 5v14M4 15.5L7.5 19l3.5-3.5M13.5 6.5h7M13.5 11.5h5M13.5 16.5h3",
  none: "",
  down: "M5.5 9l6.5 6.5L18.5 9",
  sun: "M12 16.5a4.5 4.5 0 1 1 0-9 4.5 4.5 0 0 1 0 9zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4",
  moon: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z",
  auto: "M12 20.5a8.5 8.5 0 1 1 0-17 8.5 8.5 0 0 1 0 17zM12 3.5v17M12 7.5h5.5M12 12h8M12 16.5h5.5",
  language:
    "M12 20.5a8.5 8.5 0 1 1 0-17 8.5 8.5 0 0 1 0 17zM3.5 12h17M12 3.5c5.5 5.5 5.5 11.5 0 17M12 3.5c-5.5 5.5-5.5 11.5 0 17",
  signout: "M14 4.5H5.5v15H14M10 12h10.5M17 8l4 4-4 4",
  plus: "M12 5v14M5 12h14",
  folderPlus:
    "M3 6.5A1.5 1.5 0 0 1 4.5 5h4.6l2 2.2h8.4A1.5 1.5 0 0 1 21 8.7v9.8a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 18.5zM12 10.5v6M9 13.5h6",
  edit: "M4.5 19.5l1-4.5L16 4.5l3.5 3.5L9 18.5z",
  move: "M3 6.5A1.5 1.5 0 0 1 4.5 5h4.6l2 2.2h8.4A1.5 1.5 0 0 1 21 8.7v9.8a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 18.5zM8.5 13.5h7M13 11l2.5 2.5L13 16",
  eye: "M2.5 12c4.5-8 14.5-8 19 0-4.5 8-14.5 8-19 0zM12 15a3 3 0 1 1 0-6 3 3 0 0 1 0 6z",
  bolt: "M13 3L5.5 13.5H11L10 21l8-11h-5.5z",
  shield: "M12 3.5l7.5 2.5v6c0 4.5-3.5 7.5-7.5 9-4-1.5-7.5-4.5-7.5-9V6zM8.8 12l2.3 2.3 4.2-4.3",
  restore: "M4.5 12a7.5 7.5 0 1 0 2.4-5.5M4.5 4v4.5H9",
} as const;

export type IconName = keyof typeof paths;

/** Decoration: what it stands for is said in words beside it, or by the button's label. */
export function Icon({ name, class: extra = "" }: { name: IconName; class?: string }) {
  return (
    <svg class={`icon ${extra}`} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}

export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <defs>
        <linearGradient id="logo" x1="0" y1="0" x2="1" y2="1">
          <stop class="logo-from" offset="0" />
          <stop class="logo-to" offset="1" />
        </linearGradient>
      </defs>
      <rect width="32" height="32" rx="9" fill="url(#logo)" />
      <path
        d="M10.5 22.5a4.5 4.5 0 0 1-.6-8.96 6.5 6.5 0 0 1 12.5 1.3A3.9 3.9 0 0 1 21.6 22.5z"
        fill="#fff"
      />
    </svg>
  );
}
