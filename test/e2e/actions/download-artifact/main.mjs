import * as path from 'node:path'
import * as core from '@actions/core'
import {DefaultArtifactClient} from '@actions/artifact'

const client = new DefaultArtifactClient()
const name = core.getInput('name')
const target = path.resolve(core.getInput('path'))

// A pattern as our actions use it: stars only.
function wanted(artifact) {
  if (name) return artifact.name === name
  const words = core.getInput('pattern').split('*').map(w => w.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${words.join('.*')}$`).test(artifact.name)
}

async function main() {
  const {artifacts} = await client.listArtifacts({latest: true})
  const found = artifacts.filter(wanted)
  if (found.length === 0 && name) {
    core.setFailed(`Unable to download artifact(s): Artifact not found for name: ${name}`)
  }
  for (const artifact of found) {
    const merge = name || core.getBooleanInput('merge-multiple')
    await client.downloadArtifact(artifact.id, {path: merge ? target : path.join(target, artifact.name)})
    core.info(`downloaded ${artifact.name}`)
  }
}

main().catch(error => core.setFailed(error.message))
