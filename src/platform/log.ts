import { pino, type DestinationStream, type Logger } from 'pino';

export type { Logger } from 'pino';

/** Field names that never reach a log, at the top level and up to two levels below. */
const HIDDEN = [
  'authorization',
  'cookie',
  'password',
  'token',
  'accessToken',
  'access_token',
  'clientSecret',
  'client_secret',
  'apiKey',
  'connectionString',
  '["set-cookie"]',
  '["x-router-authorization"]',
  '["stripe-signature"]',
];
const LEVELS = ['', '*', '*.*'];
const CENSOR = '[secret]';

/**
 * The process's logger: one JSON object a line on stdout, instants as ISO text. Log named fields, never whole requests or rows.
 * @param options.redactText is run over every line and takes out what may stand in free text (card numbers)
 * @param options.destination where the lines go instead of stdout
 */
export function createLogger(options: {
  level: string;
  service: string;
  region: string;
  redactText?: (text: string) => string;
  destination?: DestinationStream;
}): Logger {
  const { redactText } = options;
  const settings = {
    level: options.level,
    base: { service: options.service, region: options.region },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: LEVELS.flatMap((level) => HIDDEN.map((name) => pathOf(level, name))), censor: CENSOR },
    ...(redactText && { hooks: { streamWrite: (line: string) => redactLine(line, redactText) } }),
  };
  return options.destination ? pino(settings, options.destination) : pino(settings);
}

function pathOf(level: string, name: string): string {
  return level && !name.startsWith('[') ? `${level}.${name}` : `${level}${name}`;
}

/** The line as it was, or with each text and number redacted by itself, so that it stays JSON. */
function redactLine(line: string, redactText: (text: string) => string): string {
  if (redactText(line) === line) return line;
  const redacted: unknown = JSON.parse(line, (_key, value: unknown) => {
    if (typeof value === 'string') return redactText(value);
    if (typeof value !== 'number') return value;
    const text = redactText(String(value));
    return text === String(value) ? value : text;
  });
  return `${redactText(JSON.stringify(redacted))}\n`;
}
