import * as fs from 'node:fs'
import * as path from 'node:path'
import * as core from '@actions/core'
import {DefaultArtifactClient} from '@actions/artifact'

// Lists the files below a directory as upload-artifact does: without hidden
// ones unless asked.
function files(dir, hidden) {
  return fs.readdirSync(dir, {withFileTypes: true}).flatMap(entry => {
    if (entry.name.startsWith('.') && !hidden) return []
    const full = path.join(dir, entry.name)
    return entry.isDirectory() ? files(full, hidden) : [full]
  })
}

async function main() {
  const target = path.resolve(core.getInput('path', {required: true}))
  const single = fs.existsSync(target) && fs.statSync(target).isFile()
  const list = single ? [target] : fs.existsSync(target) ? files(target, core.getBooleanInput('include-hidden-files')) : []
  if (list.length === 0) {
    core.setFailed(`No files were found with the provided path: ${target}`)
  } else {
    const days = core.getInput('retention-days')
    const {size} = await new DefaultArtifactClient().uploadArtifact(
      core.getInput('name', {required: true}), list, single ? path.dirname(target) : target,
      {compressionLevel: Number(core.getInput('compression-level')), retentionDays: days ? Number(days) : undefined})
    core.info(`uploaded ${list.length} files, ${size} bytes`)
  }
}

main().catch(error => core.setFailed(error.message))
