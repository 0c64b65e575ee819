/** How the command ends, for scripts. */
export const EXIT_CODE = {
  done: 0,
  /** The service refused, the run that was watched did not complete, or the books do not balance. */
  refused: 1,
  badUsage: 2,
  unreachable: 3,
  /** By Ctrl-C while watching; as a shell says it of SIGINT. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT_CODE)[keyof typeof EXIT_CODE];
