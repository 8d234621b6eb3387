import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'

// A cache is found again only for the same paths. The temporary directory of a hosted
// runner is the same in every job, that of act is not; so it is named by a link.
export function fixed(paths) {
  const link = path.join(os.tmpdir(), 'nosa-e2e-runner-temp')
  fs.rmSync(link, {force: true})
  fs.symlinkSync(process.env.RUNNER_TEMP, link)
  return paths.map(p => p.startsWith(process.env.RUNNER_TEMP) ? link + p.slice(process.env.RUNNER_TEMP.length) : p)
}
