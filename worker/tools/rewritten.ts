/** Files in which such a tag is nothing special. */
const markup =
  /\.(?:xml|x?html?|svg|xaml|xsd|xslt?|wsdl|plist|resx|\w*proj|props|targets|vue|svelte|astro|[jt]sx|mdx?|php|erb|ejs|hbs|mustache|twig|liquid|j2|jinja2?|jsp|ftl|tmpl|tpl|njk)$/i;
const tag = /<(\w{1,80}) name="([^"\n]{0,200})">/g;

/**
 * A note for the model about a tag such as `<T name="string">` in a text for a file: some servers make it out of
 * `<T=string>` before the call arrives. Empty for markup files, and where the file had the tag already.
 */
export function rewrittenTag(text: string, path: string, before = ""): string {
  if (markup.test(path)) return "";
  const known = new Set(before.match(tag));
  const [found, name, value] = [...text.matchAll(tag)].find(([whole]) => !known.has(whole)) ?? [];
  if (found === undefined) return "";
  return `\n[Your text came with ${found}. Some model servers make that out of <${name}=${value}>. If that is what you wrote, put it into the file with bash, with two quotes after the <, as in '<''${name}=${value}>'.]`;
}
