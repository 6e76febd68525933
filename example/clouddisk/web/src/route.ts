/** Where the page is; in the part of the address behind `#`, so that the gateway need not know. */
export type Route =
  | { view: "files"; folderId: number }
  | { view: "search"; query: string }
  | { view: "trash" }
  | { view: "services" }
  | { view: "users" };

export function parseRoute(hash: string): Route {
  const [, view, rest = ""] = /^#\/(\w+)\/?(.*)$/.exec(hash) ?? [];
  if (view === "trash" || view === "services" || view === "users") return { view };
  if (view === "search") {
    try {
      return { view, query: decodeURIComponent(rest) };
    } catch {
      return { view: "files", folderId: 0 };
    }
  }
  return { view: "files", folderId: /^\d{1,15}$/.test(rest) ? Number(rest) : 0 };
}

export function formatRoute(route: Route): string {
  switch (route.view) {
    case "files":
      return route.folderId === 0 ? "#/files" : `#/files/${route.folderId}`;
    case "search":
      return `#/search/${encodeURIComponent(route.query)}`;
    default:
      return `#/${route.view}`;
  }
}
