/** What engines differ in. */

/** Whether this is V8 before 11.7, such as Node.js 20 has, or another engine of its time. */
export const isOldEngine: boolean = !("groupBy" in Object);
