/** Those who want to be told of events. */
export interface Listeners<Events> {
  on<E extends keyof Events>(event: E, listener: Events[E]): () => void;
  /** Tells all of them, one after the other; what one throws is `onError`'s, and keeps it from nobody else. */
  emit<E extends keyof Events>(event: E, ...args: Events[E] extends (...args: infer A) => void ? A : never): void;
}

/** Makes a list of listeners without any. */
export const createListeners = <Events>(onError: (event: keyof Events, error: Error) => void): Listeners<Events> => {
  const listeners = new Map<keyof Events, Set<(...args: unknown[]) => void>>();
  return {
    on: (event, listener) => {
      const of = listeners.get(event) ?? new Set();
      listeners.set(event, of.add(listener as (...args: unknown[]) => void));
      return () => of.delete(listener as (...args: unknown[]) => void);
    },
    emit: (event, ...args) => {
      for (const listener of listeners.get(event) ?? []) {
        try {
          listener(...(args as unknown[]));
        } catch (error) {
          onError(event, error as Error);
        }
      }
    },
  };
};
