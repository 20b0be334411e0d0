/** Words of one enum are the same in the graph (upper case), and in the rows and commands (lower case). */

/** The graph's word for a stored one. */
export const upper = <Word extends string>(word: Word): Uppercase<Word> => word.toUpperCase() as Uppercase<Word>;

/** The stored word for one of the graph's. */
export const lower = <Word extends string>(word: Word): Lowercase<Word> => word.toLowerCase() as Lowercase<Word>;
