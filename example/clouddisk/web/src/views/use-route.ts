import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { formatRoute, parseRoute, type Route } from "../route.js";

/** Where the page is, and the way to somewhere else. */
export function useRoute(): [Route, (route: Route) => void] {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const onChange = (): void => setRoute(parseRoute(location.hash));
    addEventListener("hashchange", onChange);
    return () => removeEventListener("hashchange", onChange);
  }, []);
  const go = useCallback((to: Route) => {
    // Each letter of a search is no step to go back by.
    if (to.view === "search" && parseRoute(location.hash).view === "search") {
      history.replaceState(null, "", formatRoute(to));
      setRoute(to);
    } else location.hash = formatRoute(to);
  }, []);
  const place = placeOf(route);
  const before = useRef(place);
  useEffect(() => {
    if (before.current === place) return;
    before.current = place;
    scrollTo(0, 0);
    // What had the focus is gone with the view it was in.
    if (document.activeElement === document.body)
      document.getElementById("content")?.focus({ preventScroll: true });
  }, [place]);
  return [route, go];
}

/** The same while a search changes: then the view stays. */
export function placeOf(route: Route): string {
  return route.view === "search" ? "search" : formatRoute(route);
}
