// Prints what GitHub's own parser finds wrong with workflows and actions:
//
//   validate.mjs ROOT FILE...
//
// References to our actions and workflows are followed into the tree at ROOT, so that
// inputs and outputs must be there; those of others are known by the table below.
import {existsSync, readFileSync} from 'node:fs'
import {join, relative} from 'node:path'
import {pathToFileURL} from 'node:url'
import {validate} from '@actions/languageservice'
import {TextDocument} from 'vscode-languageserver-textdocument'
import {parse} from 'yaml'

const [root, ...files] = process.argv.slice(2)

// Inputs of others' actions, as far as we give them, and outputs, as far as we read
// them.
const others = {
  'actions/attest-build-provenance': ['subject-checksums', 'subject-name', 'subject-digest'],
  'actions/cache/restore': ['path', 'key', 'restore-keys'],
  'actions/cache/save': ['path', 'key'],
  'actions/checkout': ['repository', 'ref', 'path', 'persist-credentials', 'fetch-depth'],
  'actions/configure-pages': [],
  'actions/deploy-pages': [],
  'actions/download-artifact': ['name', 'pattern', 'path', 'merge-multiple'],
  'actions/setup-go': ['go-version-file', 'cache-dependency-path', 'cache'],
  'actions/upload-artifact': ['name', 'path', 'if-no-files-found', 'compression-level', 'retention-days', 'include-hidden-files'],
  'actions/upload-pages-artifact': ['path', 'retention-days'],
}

const action = path => parse(readFileSync(join(root, path, 'action.yml'), 'utf8'))

const actionsMetadataProvider = {
  async fetchActionMetadata({owner, name, path = ''}) {
    if (owner === 'nestos' && name === 'nosa-actions') {
      return existsSync(join(root, path, 'action.yml')) ? action(path) : undefined
    }
    const inputs = others[[owner, name, path].filter(Boolean).join('/')]
    return inputs && {name, description: name, inputs: Object.fromEntries(inputs.map(i => [i, {description: i}]))}
  }
}

const fileProvider = {
  async getFileContent(ref) {
    return {name: ref.path, content: readFileSync(join(root, ref.path), 'utf8')}
  }
}

let found = 0
for (const file of files) {
  // The suite is checked out to .nosa where it comes from elsewhere; the parser does not
  // follow local references.
  const text = readFileSync(file, 'utf8').replace(/(uses: )\.\/\.nosa\/(\S+)/g, '$1nestos/nosa-actions/$2@v1')
  const document = TextDocument.create(pathToFileURL(file).href, 'yaml', 1, text)
  for (const d of await validate(document, {actionsMetadataProvider, fileProvider})) {
    found++
    console.log(`${relative(root, file)}:${d.range.start.line + 1}:${d.range.start.character + 1}: ${d.message}`)
  }
}
process.exit(found > 0 ? 1 : 0)
