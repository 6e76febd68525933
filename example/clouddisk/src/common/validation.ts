import type { FastifySchemaValidationError } from "fastify/types/schema.js";

type Params = Readonly<Record<string, unknown>>;

/** The values of one kind of problem, each once. */
function all(errors: readonly FastifySchemaValidationError[], keyword: string, param: string): string[] {
  const found = errors.filter((error) => error.keyword === keyword);
  return [...new Set(found.map(({ params }) => String((params as Params)[param])))];
}

/** What a client is told of parameters that a schema does not allow: the parameter, and what it may be. */
export function sayProblem(errors: FastifySchemaValidationError[]): Error {
  const [first] = errors;
  const name = first?.instancePath.slice(1).replaceAll("/", ".") ?? "";
  const values = all(errors, "const", "allowedValue");
  const missing = all(errors, "required", "missingProperty");
  const unknown = all(errors, "additionalProperties", "additionalProperty");
  if (values.length > 0) return new Error(`${name} must be one of ${values.join(", ")}`);
  if (unknown.length > 1) return new Error(`give only one of ${unknown.join(", ")}`);
  if (missing.length > 0) return new Error(`${missing.join(" or ")} is missing`);
  if (unknown.length === 1) return new Error(`there is no parameter ${unknown[0]} here`);
  if (first?.keyword === "type" && name === "") return new Error("the body is missing, or no object");
  return new Error(`${name} ${first?.message ?? "is wrong"}`);
}
