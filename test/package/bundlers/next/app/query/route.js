import { program } from '../../program.mjs';

export const dynamic = 'force-dynamic';

export async function GET() {
  return new Response(await program(process.env.DSN));
}
