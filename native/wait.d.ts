/** The program that holds a container's process back: one static file for this machine. */
export const WAIT_PROGRAM: string;
