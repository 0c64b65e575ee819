/** Text of so many paragraphs, each of about a hundred tokens and different from the others. */
export function paragraphs(count: number): string {
  return Array.from(
    { length: count },
    (_, index) =>
      `Section ${index + 1} deals with the harbour of town number ${index + 1}. The harbour master counted ` +
      `${(index + 3) * 17} ships in the spring and ${(index + 5) * 11} in the autumn. Most of them carried grain, ` +
      'timber and salt. The council decided to deepen the northern channel before the winter storms arrive. ' +
      'Merchants complained about the dues, which had doubled within ten years. A new lighthouse was paid from them. ' +
      'Its lamp is tended by two keepers who live in the tower all year. The old quay will be repaired next summer.',
  ).join('\n\n');
}
