/** Turns a title into the last part of a web address: "Hello World" becomes "hello-world". */
export function slugify(title) {
  return title
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/, "-");
}

/** The slugs of version 0: kept while the old addresses were redirected. */
export function oldSlugify(title) {
  return title.toLowerCase().split(" ").join("_");
}
