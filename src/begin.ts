/** Work that goes on beside other work: its failure counts where its result is awaited, and nowhere else. */
export function begin<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {});
  return work;
}
