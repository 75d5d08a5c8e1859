/** What no server of the SDK answers: a refusal before a request has reached one, as JSON-RPC and HTTP both ask. */
const REFUSED = -32000

/**
 * @param status of HTTP, 400 and above
 * @param message for a person: what was wrong, or what to do
 * @param code of JSON-RPC
 * @param id of the request, where that much of it was read
 */
export function refusal (status: number, message: string, code = REFUSED, headers: Readonly<Record<string, string>> = {}, id: unknown = null): Response {
  return Response.json({ jsonrpc: '2.0', error: { code, message }, id }, { status, headers })
}
