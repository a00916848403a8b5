/** The colours of a chart that differ with the colour scheme of its reader: those of GitHub's pages. */
const SCHEMES = {
  light: { ink: '#1f2328', faint: '#d1d9e0', background: '#ffffff' },
  dark: { ink: '#f0f6fc', faint: '#3d444d', background: '#0d1117' },
} as const;

/** The colours that a chart is drawn with. */
export const INK = SCHEMES.light.ink;
export const FAINT = SCHEMES.light.faint;
export const BACKGROUND = SCHEMES.light.background;

/**
 * What vega has drawn, as a picture for both colour schemes, and without what is not seen: descriptions of each bar, groups of one,
 * digits beyond a tenth of a pixel. Neighbours that look alike become one path.
 */
export function adaptiveSvg(drawn: string): string {
  const [root, ...tokens] = tokensOf(drawn);
  const size = /width="(\d+)" height="(\d+)"/.exec(root!);
  if (size === null) throw new Error('expected an SVG with a width and a height');
  const parts: string[] = [];
  /** The groups that are open: whether each is kept, and where in `parts` its contents begin. */
  const open: { readonly isKept: boolean; readonly begin: number }[] = [];
  for (const token of tokens) {
    if (token === '</g>') {
      const { isKept, begin } = open.pop()!;
      if (!isKept) continue;
      if (parts.length > begin) parts.push(token);
      else parts.pop();
      continue;
    }
    const short = shortened(token);
    if (/^<g\b.*(?<!\/)>$/.test(token)) {
      const isKept = short !== '<g>';
      if (isKept) parts.push(short);
      open.push({ isKept, begin: parts.length });
    } else if (short !== '') join(parts, short);
  }
  const [, width, height] = size;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width!}" height="${height!}" viewBox="0 0 ${width!} ${height!}" font-family="sans-serif" font-size="10">${STYLE}${parts.join('')}`;
}

const STYLE = `<style>${styleOf('light')}@media(prefers-color-scheme:dark){${styleOf('dark')}}</style>`;

function styleOf(scheme: keyof typeof SCHEMES): string {
  const { ink, faint, background } = SCHEMES[scheme];
  return `svg{color:${ink}}.faint{stroke:${faint}}.background{fill:${background}}`;
}

/** The tags, and the texts between them. Labels that nobody hears in an image are gone: they may have any character. */
function tokensOf(svg: string): string[] {
  return svg.replace(/ (?:aria-[a-z]+|role)="[^"]*"/g, '').match(/<[^>]+>|[^<]+/g) ?? [];
}

/** What says nothing, as it is the default, or inherited from the root. */
const DEFAULTS =
  / (?:opacity="1"|stroke-width="1"|font-family="sans-serif"|font-size="10px"|pointer-events="[a-z]+"|class="[^"]*"|transform="translate\(0,0\)"|text-anchor="start")/g;

/** A tag without what is not seen; empty if all of it is not. */
function shortened(token: string): string {
  if (!token.startsWith('<') || token.startsWith('</')) return token;
  const isUnseen = /display="none"|\bd="M0,0h0v0h0Z"|^<g\b.*\/>$/.test(token) || isBare(token);
  if (isUnseen) return '';
  return asPath(token.replace(DEFAULTS, ''))
    .replace(new RegExp(`"${INK}"`, 'g'), '"currentColor"')
    .replace(`stroke="${FAINT}"`, 'class="faint"')
    .replace(`fill="${BACKGROUND}"`, 'class="background"')
    .replace(/(?<= (?:d|transform|x|y|x2|y2|width|height)=")[^"]*/g, rounded);
}

/** Whether it is the background of a group, and has no colour. */
function isBare(token: string): boolean {
  return token.startsWith('<path class="background"') && !/ (?:fill|stroke)=/.test(token);
}

/** A line as a path, which can be joined with its neighbours. */
function asPath(token: string): string {
  const [line, x = '0', y = '0', x2, y2] =
    /^<line(?: transform="translate\(([^,]+),([^)]+)\)")? x2="([^"]+)" y2="([^"]+)"/.exec(token) ?? [];
  return line === undefined ? token : `<path d="M${x},${y}l${x2!},${y2!}"${token.slice(line.length)}`;
}

function rounded(numbers: string): string {
  return numbers.replace(/-?\d*\.\d+(?:e-?\d+)?/g, (number) =>
    String(Math.round(Number(number) * 10) / 10).replace(/^(-?)0\./, '$1.'),
  );
}

/** Adds an element, to the path before it if that looks alike. */
function join(parts: string[], element: string): void {
  const [, way, look] = /^<path d="([^"]*)"(.*)$/.exec(element) ?? [];
  const [, before, itsLook] = /^<path d="([^"]*)"(.*)$/.exec(parts.at(-1) ?? '') ?? [];
  if (way !== undefined && look === itsLook) parts[parts.length - 1] = `<path d="${before!}${way}"${look!}`;
  else parts.push(element);
}
