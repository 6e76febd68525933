import { Component, type FunctionComponent, h } from "preact";

/** Drawn again only when one of these properties is another one; the others have to be of the kind that stays true. */
export function memo<P extends object>(draw: FunctionComponent<P>, keys: ReadonlyArray<keyof P>) {
  return class extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>): boolean {
      return keys.some((key) => next[key] !== this.props[key]);
    }
    override render() {
      return h(draw, this.props);
    }
  };
}
