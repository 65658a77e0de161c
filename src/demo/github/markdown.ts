import { Marked } from "marked";

/** The HTML that GitHub's bodies are written with; of other tags the text is shown. */
const tags = /<(\/?)(details|summary|sub|sup|kbd|br|b|strong|i|em|code|p|hr)(\s*\/?)>/gi;
const addresses = /^(https?:|mailto:|#|\/)/i;

const marked = new Marked({
  async: false,
  gfm: true,
  renderer: {
    html: ({ text }) => keepPlainTags(text.replaceAll(/<!--[\s\S]*?-->/g, "")),
    // An image is somebody else's server; its text is enough here.
    image: ({ href, text }) => (addresses.test(href) ? `<a href="${escape(href)}">${escape(text)}</a>` : escape(text)),
    link({ href, tokens }) {
      const text = this.parser.parseInline(tokens);
      return addresses.test(href) ? `<a href="${escape(href)}">${text}</a>` : text;
    },
  },
});

/** Foreign Markdown as HTML with no script, no address that runs one, and nothing that loads by itself. */
export function renderMarkdown(text: string): string {
  return marked.parse(text, { async: false });
}

function keepPlainTags(html: string): string {
  let [kept, from] = ["", 0];
  for (const match of html.matchAll(tags)) {
    kept += escape(html.slice(from, match.index)) + match[0];
    from = match.index + match[0].length;
  }
  return kept + escape(html.slice(from));
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
