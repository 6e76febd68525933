import {
  Edition,
  FeatureSet_EnforceNamingStyle as EnforceNamingStyle,
  FeatureSet_EnumType as EnumType,
  type FeatureSet,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label as FieldLabel,
  FeatureSet_FieldPresence as FieldPresence,
  FieldDescriptorProto_Type as FieldType,
  type FileDescriptorProto,
  FeatureSet_JsonFormat as JsonFormat,
  FeatureSet_MessageEncoding as MessageEncoding,
  FeatureSet_RepeatedFieldEncoding as RepeatedFieldEncoding,
  FeatureSet_Utf8Validation as Utf8Validation,
  FeatureSet_VisibilityFeature_DefaultSymbolVisibility as Visibility,
} from "./gen/google/protobuf/descriptor.js";

/** The features that protobuf itself has, each with a value: what an element's own options leave out is inherited. */
export interface Features {
  readonly fieldPresence: FieldPresence;
  readonly enumType: EnumType;
  readonly repeatedFieldEncoding: RepeatedFieldEncoding;
  readonly utf8Validation: Utf8Validation;
  readonly messageEncoding: MessageEncoding;
  readonly jsonFormat: JsonFormat;
  readonly enforceNamingStyle: EnforceNamingStyle;
  readonly defaultSymbolVisibility: Visibility;
}

const edition2023: Features = {
  fieldPresence: FieldPresence.EXPLICIT,
  enumType: EnumType.OPEN,
  repeatedFieldEncoding: RepeatedFieldEncoding.PACKED,
  utf8Validation: Utf8Validation.VERIFY,
  messageEncoding: MessageEncoding.LENGTH_PREFIXED,
  jsonFormat: JsonFormat.ALLOW,
  enforceNamingStyle: EnforceNamingStyle.STYLE_LEGACY,
  defaultSymbolVisibility: Visibility.EXPORT_ALL,
};

const proto3: Features = { ...edition2023, fieldPresence: FieldPresence.IMPLICIT };

const proto2: Features = {
  ...edition2023,
  enumType: EnumType.CLOSED,
  repeatedFieldEncoding: RepeatedFieldEncoding.EXPANDED,
  utf8Validation: Utf8Validation.NONE,
  jsonFormat: JsonFormat.LEGACY_BEST_EFFORT,
};

const edition2024: Features = {
  ...edition2023,
  enforceNamingStyle: EnforceNamingStyle.STYLE2024,
  defaultSymbolVisibility: Visibility.EXPORT_TOP_LEVEL,
};

const edition2026: Features = {
  ...edition2024,
  enforceNamingStyle: EnforceNamingStyle.STYLE2026,
  defaultSymbolVisibility: Visibility.STRICT,
};

/** The edition of a file; the two syntaxes count as editions of their own. */
export function editionOf(file: Pick<FileDescriptorProto, "syntax" | "edition">): Edition {
  if (file.syntax === "editions") return file.edition ?? Edition.EDITION_UNKNOWN;
  return file.syntax === "proto3" ? Edition.EDITION_PROTO3 : Edition.EDITION_PROTO2;
}

/** What `edition` begins with: the `edition_defaults` of descriptor.proto. Newer editions than known read as the newest. */
export function defaultFeatures(edition: Edition): Features {
  if (edition < Edition.EDITION_PROTO3) return proto2;
  if (edition < Edition.EDITION_2023) return proto3;
  if (edition < Edition.EDITION_2024) return edition2023;
  return edition < Edition.EDITION_2026 ? edition2024 : edition2026;
}

/** The features of an element: its parent's, changed by those its options set. */
export function mergeFeatures(parent: Features, own: FeatureSet | undefined): Features {
  if (own === undefined) return parent;
  return {
    fieldPresence: own.fieldPresence ?? parent.fieldPresence,
    enumType: own.enumType ?? parent.enumType,
    repeatedFieldEncoding: own.repeatedFieldEncoding ?? parent.repeatedFieldEncoding,
    utf8Validation: own.utf8Validation ?? parent.utf8Validation,
    messageEncoding: own.messageEncoding ?? parent.messageEncoding,
    jsonFormat: own.jsonFormat ?? parent.jsonFormat,
    enforceNamingStyle: own.enforceNamingStyle ?? parent.enforceNamingStyle,
    defaultSymbolVisibility: own.defaultSymbolVisibility ?? parent.defaultSymbolVisibility,
  };
}

/**
 * The features of a field of `edition`. What proto2 and proto3 say in other words (`required`, `optional`, `group`,
 * `[packed = true]`) becomes the feature it means, so that nothing behind this asks for the syntax of a file.
 */
export function fieldFeatures(edition: Edition, parent: Features, field: FieldDescriptorProto): Features {
  const features = mergeFeatures(parent, field.options?.features);
  if (edition >= Edition.EDITION_2023) return features;
  const { label, type, proto3Optional, options } = field;
  return {
    ...features,
    fieldPresence:
      label === FieldLabel.LABEL_REQUIRED
        ? FieldPresence.LEGACY_REQUIRED
        : proto3Optional === true
          ? FieldPresence.EXPLICIT
          : features.fieldPresence,
    messageEncoding: type === FieldType.TYPE_GROUP ? MessageEncoding.DELIMITED : features.messageEncoding,
    repeatedFieldEncoding:
      options?.packed === undefined
        ? features.repeatedFieldEncoding
        : options.packed
          ? RepeatedFieldEncoding.PACKED
          : RepeatedFieldEncoding.EXPANDED,
  };
}
