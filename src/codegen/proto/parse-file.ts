import { Edition } from "../../descriptor/gen/google/protobuf/descriptor.js";
import { enumDefinition } from "./parse-enum.js";
import { extendDefinition, messageBlock, messageDefinition } from "./parse-message.js";
import { optionStatement } from "./parse-options.js";
import { serviceDefinition } from "./parse-service.js";
import type { ParsedProto } from "./parsed.js";
import { broken, type Location, ParserBase } from "./parser-base.js";
import type { ReportAt } from "./tokenizer.js";
import { visibilityAhead } from "./visibility.js";

/** Field numbers of FileDescriptorProto. */
const inFile = {
  package: 2,
  dependency: 3,
  messageType: 4,
  enumType: 5,
  service: 6,
  extension: 7,
  options: 8,
  publicDependency: 10,
  weakDependency: 11,
  syntax: 12,
  optionDependency: 15,
};

/** The editions that a file may name. */
const editions = new Map<string, Edition>([
  ["2023", Edition.EDITION_2023],
  ["2024", Edition.EDITION_2024],
  ["2026", Edition.EDITION_2026],
]);

/**
 * Reads one file's text, a string of bytes, into a syntax tree. Problems go to `report`; what is returned then has
 * holes, and only serves to find more of them.
 */
export function parseFile(source: string, name: string, report: ReportAt): ParsedProto {
  const p = new ParserBase(source, name, report);
  const root = p.open(undefined);
  try {
    if (p.at("syntax") || p.at("edition")) syntaxStatement(p, root);
    while (!p.atEnd) {
      p.recovering(() => topLevelStatement(p, root));
      if (p.at("}")) {
        p.error('this "}" has no "{"');
        p.next();
      }
    }
    p.close(root);
  } catch (thrown) {
    // Without its syntax a file cannot be read at all.
    if (thrown !== unknownSyntax) throw thrown;
  }
  return {
    descriptor: p.file,
    places: p.places,
    options: p.options,
    locations: p.locations,
    imports: p.imports,
    mapEntries: p.mapEntries,
  };
}

const unknownSyntax = new Error("the file's syntax is not known");

function syntaxStatement(p: ParserBase, root: Location): void {
  const location = p.open(root, inFile.syntax);
  const isEdition = p.at("edition");
  p.next();
  try {
    p.take("=");
    const at = p.token;
    const value = p.string(isEdition ? 'an edition, like "2023"' : '"proto2" or "proto3"');
    p.takeEnd(";", location);
    p.close(location);
    if (isEdition) {
      const edition = editions.get(value);
      if (edition === undefined) {
        p.fail(`edition "${value}" is not known: there are ${[...editions.keys()].join(", ")}`, at);
      }
      p.edition = edition;
      p.file.edition = edition;
      p.syntax = "editions";
      p.file.syntax = "editions";
      return;
    }
    if (value !== "proto2" && value !== "proto3") {
      p.fail(
        `syntax "${value}" is not known: there are proto2 and proto3; an edition stands in edition = "2023";`,
        at,
      );
    }
    p.syntax = value;
    p.edition = value === "proto3" ? Edition.EDITION_PROTO3 : Edition.EDITION_PROTO2;
    // As in every descriptor of protoc, proto2 is what a file has that names no syntax.
    p.file.syntax = value === "proto3" ? value : undefined;
  } catch (thrown) {
    throw thrown === broken ? unknownSyntax : thrown;
  }
}

function topLevelStatement(p: ParserBase, root: Location): void {
  const { file } = p;
  if (p.tryTakeEnd(";")) return;
  const visibility = visibilityAhead(p);
  if (p.at("message")) {
    const location = p.open(root, inFile.messageType, file.messageType.length);
    messageDefinition(p, file.messageType, location, 1, visibility);
    p.close(location);
  } else if (p.at("enum")) {
    const location = p.open(root, inFile.enumType, file.enumType.length);
    enumDefinition(p, file.enumType, location, visibility);
    p.close(location);
  } else if (p.at("service")) {
    const location = p.open(root, inFile.service, file.service.length);
    serviceDefinition(p, location);
    p.close(location);
  } else if (p.at("extend")) {
    const location = p.open(root, inFile.extension);
    const messages = {
      list: file.messageType,
      parent: root,
      field: inFile.messageType,
      depth: 1,
      block: messageBlock,
    };
    extendDefinition(p, file.extension, location, messages);
    p.close(location);
  } else if (p.at("import")) importStatement(p, root);
  else if (p.at("package")) packageStatement(p, root);
  else if (p.at("option")) {
    const location = p.open(root, inFile.options);
    optionStatement(p, file, location);
    p.close(location);
  } else {
    p.fail(`expected a declaration like message, enum, service, import or option, not ${p.shown}`);
  }
}

function importStatement(p: ParserBase, root: Location): void {
  const { file } = p;
  const location = p.open(root, inFile.dependency, file.dependency.length);
  p.take("import");
  let kind: "plain" | "public" | "weak" | "option" = "plain";
  if (p.at("public")) {
    kind = "public";
    const inner = p.open(root, inFile.publicDependency, file.publicDependency.length);
    p.next();
    p.close(inner);
    file.publicDependency.push(file.dependency.length);
  } else if (p.at("weak")) {
    kind = "weak";
    const inner = p.open(root, inFile.weakDependency, file.weakDependency.length);
    p.next();
    p.close(inner);
    file.weakDependency.push(file.dependency.length);
  } else if (p.at("option")) {
    kind = "option";
    if (p.edition < Edition.EDITION_2024) p.error("import option needs edition 2024 or newer");
    location.path = [inFile.optionDependency, file.optionDependency.length];
    p.next();
  }
  const at = p.token;
  const target = p.string("the name of the file to import, in quotes");
  if (kind === "option") file.optionDependency.push(target);
  else {
    if (file.optionDependency.length > 0) p.error("import option stands behind the other imports", at);
    file.dependency.push(target);
  }
  if (p.imported.has(target)) p.error(`"${target}" is imported twice`, at);
  p.imported.add(target);
  p.imports.push({ target, kind, at });
  p.takeEnd(";", location);
  p.close(location);
}

function packageStatement(p: ParserBase, root: Location): void {
  const { file } = p;
  if (file.package !== undefined) p.error("a file has one package statement");
  const location = p.open(root, inFile.package);
  p.placesOf(file).name = p.token;
  p.take("package");
  const parts = [p.identifier("the name of the package")];
  while (p.tryTake(".")) parts.push(p.identifier("a name"));
  file.package = parts.join(".");
  p.takeEnd(";", location);
  p.close(location);
}
