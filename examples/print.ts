/** The columns of a terminal that the examples' output fits into. */
const COLUMNS = 100;

/** A text in lines that fit, broken at spaces; those after the first are indented. */
export function wrapped(text: string, indent = '    '): string {
  const lines: string[] = [];
  for (let line of text.split('\n')) {
    while (line.length > COLUMNS) {
      const space = line.lastIndexOf(' ', COLUMNS);
      // A word that is too long for a line has one of its own.
      const end = space > indent.length ? space : line.indexOf(' ', COLUMNS);
      if (end < 0) break;
      lines.push(line.slice(0, end));
      line = indent + line.slice(end + 1);
    }
    lines.push(line);
  }
  return lines.join('\n');
}
