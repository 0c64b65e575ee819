/** The key of an application's thing in a Map. */
export function factKey(application: string, id: string): string {
  return `${application}/${id}`;
}
