/** What a journal needs of a logger: a fixed message, ids and numbers as fields. */
export interface JournalLogger {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
