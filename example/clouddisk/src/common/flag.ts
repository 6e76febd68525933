import Type from "typebox";

/** Yes or no in a query, a form or JSON: 1, 0, true, false. Read it with `Boolean(value)`. */
export const flag = Type.Union([Type.Integer({ minimum: 0, maximum: 1 }), Type.Boolean()]);
