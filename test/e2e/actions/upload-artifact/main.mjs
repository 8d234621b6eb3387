import * as fs from 'node:fs'
import * as path from 'node:path'
import * as core from '@actions/core'
import * as glob from '@actions/glob'
import {DefaultArtifactClient} from '@actions/artifact'

// Lists the files below a directory as upload-artifact does: links followed,
// empty directories passed over, without hidden ones unless asked.
async function files(dir, hidden) {
  const globber = await glob.create(dir, {followSymbolicLinks: true, implicitDescendants: true, omitBrokenSymbolicLinks: true, excludeHiddenFiles: !hidden})
  return (await globber.glob()).filter(file => !fs.statSync(file).isDirectory())
}

async function main() {
  const target = path.resolve(core.getInput('path', {required: true}))
  const single = fs.existsSync(target) && fs.statSync(target).isFile()
  const list = single ? [target] : fs.existsSync(target) ? await files(target, core.getBooleanInput('include-hidden-files')) : []
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
