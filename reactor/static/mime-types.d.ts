// What we use of mime-types, which brings no types of its own.

declare module 'mime-types' {
  const mimeTypes: {
    /** The content type with its charset for an extension, dot included; false when it is unknown. */
    contentType(extension: string): string | false;
  };
  export default mimeTypes;
}
