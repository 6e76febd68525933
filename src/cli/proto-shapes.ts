/** FileDescriptorProtos as protobufjs gives them as plain objects: enums by name, absent where not set, lists always there. */

export type Options = Readonly<Record<string, unknown>>;

export interface FieldProto {
  readonly name: string;
  readonly number: number;
  readonly label?: string;
  readonly type: string;
  readonly typeName?: string;
  readonly extendee?: string;
  readonly defaultValue?: string;
  readonly jsonName?: string;
  readonly oneofIndex?: number;
  readonly proto3Optional?: boolean;
  readonly options?: Options;
}

export interface Range {
  readonly start?: number;
  readonly end?: number;
}

export interface MessageProto {
  readonly name: string;
  readonly field: readonly FieldProto[];
  readonly extension: readonly FieldProto[];
  readonly nestedType: readonly MessageProto[];
  readonly enumType: readonly EnumProto[];
  readonly oneofDecl: readonly { readonly name: string; readonly options?: Options }[];
  readonly extensionRange: readonly Range[];
  readonly reservedRange: readonly Range[];
  readonly reservedName: readonly string[];
  readonly options?: Options & { readonly mapEntry?: boolean };
}

export interface EnumProto {
  readonly name: string;
  readonly value: readonly { readonly name: string; readonly number?: number; readonly options?: Options }[];
  readonly reservedRange: readonly Range[];
  readonly reservedName: readonly string[];
  readonly options?: Options;
}

export interface MethodProto {
  readonly name: string;
  readonly inputType: string;
  readonly outputType: string;
  readonly clientStreaming?: boolean;
  readonly serverStreaming?: boolean;
  readonly options?: Options;
}

export interface ServiceProto {
  readonly name: string;
  readonly method: readonly MethodProto[];
  readonly options?: Options;
}

export interface FileProto {
  readonly name: string;
  readonly package?: string;
  readonly syntax?: string;
  readonly edition?: string;
  readonly messageType: readonly MessageProto[];
  readonly enumType: readonly EnumProto[];
  readonly extension: readonly FieldProto[];
  readonly service: readonly ServiceProto[];
  readonly options?: Options & { readonly features?: Options };
}
