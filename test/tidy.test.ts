import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { PACKAGE_ROOT } from '../services/runtime/package-root.js';

/**
 * The rules that the code keeps about itself. Each finds its breaches in a set of files; each is shown to find one in a
 * sample that breaks it, and then finds none in the project.
 */
type Files = ReadonlyMap<string, string>;

interface Rule {
  readonly name: string;
  /** Files, each of which breaks the rule once, with the breach that is found. */
  readonly samples: readonly (readonly [path: string, text: string, breach: string])[];
  breaches(files: Files): readonly string[];
}

/** What each folder may import of ours: downward only. ARCHITECTURE.md says why. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  'services/runtime': [],
  'services/domain': [],
  'services/contract': ['services/runtime'],
  'services/providers': ['services/domain'],
  'services/pricing': ['services/domain', 'services/runtime'],
  'services/ledger': ['services/domain', 'services/pricing'],
  'services/server': [
    'services/contract',
    'services/domain',
    'services/ledger',
    'services/pricing',
    'services/runtime',
  ],
  'services/client': ['services/contract', 'services/domain'],
  'services/gateway': ['services/client', 'services/domain', 'services/providers', 'services/runtime'],
  'services/cli': ['services/client', 'services/domain', 'services/runtime'],
  'services/simulator': [],
  'services/stack': ['services/cli', 'services/client', 'services/domain', 'services/runtime'],
  'workflows/plugin': ['services/client', 'services/domain'],
  workflows: [
    'services/client',
    'services/domain',
    'services/providers',
    'services/runtime',
    'workflows/plugin',
  ],
};
/** The plugin is for anybody's worker, which has a logger of its own: it says only what it needs of one. */
const TYPES_ONLY: Readonly<Record<string, readonly string[]>> = {
  'workflows/plugin': ['services/runtime/logger.ts'],
};

/** Where each of these packages may be imported; elsewhere the folder above it is asked instead. */
const PACKAGE_HOMES: readonly (readonly [name: RegExp, folders: readonly string[]])[] = [
  [/^mongodb$/, ['services/ledger', 'services/stack']],
  [/^@temporalio\//, ['services/server', 'services/stack', 'workflows', 'workflows/plugin']],
];

/** Not installed where the service runs: these are used from a checkout, to fetch servers, to show a stock client and to seed prices. */
const DEVELOPMENT_IMPORTS: readonly (readonly [folder: string, name: string])[] = [
  ['services/stack/', '@temporalio/testing'],
  ['services/stack/', 'mongodb-memory-server-core'],
  ['services/stack/', 'openai'],
  ['services/pricing/seed/', '@pydantic/genai-prices'],
];

/** Used, but imported nowhere: commands of the scripts, the loader of tests that run sources, types. */
const NOT_IMPORTED = ['@biomejs/biome', '@bufbuild/buf', '@types/node', 'tsx', 'typescript'];

const DOCUMENTS = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'LICENSE'];
const LINES_MAX = 400;

const RULES: readonly Rule[] = [
  {
    name: 'imports go down the layers only',
    samples: [
      [
        'services/domain/a.ts',
        "import { b } from '../ledger/b.js';",
        'services/domain imports services/ledger',
      ],
      [
        'services/server/a.ts',
        "export { b } from '../../workflows/b.js';",
        'services/server imports workflows',
      ],
      ['services/simulator/a.ts', "import '../domain/b.js';", 'services/simulator imports services/domain'],
      [
        'services/client/a.ts',
        "const b = import('../server/b.js');",
        'services/client imports services/server',
      ],
      ['services/ledger/a.ts', "import type {\n  B,\n} from '../server/b.js';", 'imports services/server'],
      [
        'workflows/plugin/a.ts',
        "import { b } from '../../services/runtime/logger.js';",
        'workflows/plugin imports services/runtime',
      ],
      ['workflows/a.ts', "import { b } from '../test/b.js';", 'workflows imports test'],
      ['services/new/a.ts', '', 'services/new is in no layer'],
    ],
    breaches: (files) =>
      sourcesOf(files).flatMap(([path, text]) => {
        const layer = layerOf(path);
        const allowed = LAYERS[layer];
        if (allowed === undefined) return [`${path}: ${layer} is in no layer`];
        return importsOf(path, text)
          .filter(({ file }) => file !== undefined)
          .filter(({ file = '', isType }) => {
            const imported = layerOf(file);
            if (imported === layer || allowed.includes(imported)) return false;
            return !(isType && TYPES_ONLY[layer]?.includes(file));
          })
          .map(({ file = '' }) => `${path}: ${layer} imports ${layerOf(file)}`);
      }),
  },
  {
    name: 'no file imports itself, over others or for types alone',
    samples: [
      [
        'services/domain/a.ts',
        "import type { A } from './a.js';",
        'services/domain/a.ts > services/domain/a.ts',
      ],
    ],
    breaches: findCycles,
  },
  {
    name: 'MongoDB and Temporal are spoken to in their folders only',
    samples: [
      ['services/server/a.ts', "import { Binary } from 'mongodb';", 'services/server imports mongodb'],
      ['services/cli/a.ts', "import type { B } from '@temporalio/client';", 'imports @temporalio/client'],
    ],
    breaches: (files) =>
      sourcesOf(files).flatMap(([path, text]) =>
        importsOf(path, text)
          .filter(({ packageName = '' }) =>
            PACKAGE_HOMES.some(([name, homes]) => name.test(packageName) && !homes.includes(layerOf(path))),
          )
          .map(({ packageName }) => `${path}: ${layerOf(path)} imports ${packageName}`),
      ),
  },
  {
    name: 'every file imports only packages that are installed where it runs',
    samples: [
      ['services/server/a.ts', "import { test } from 'vitest';", 'vitest is not installed'],
      ['services/server/a.ts', "import b from '@pydantic/genai-prices';", '@pydantic/genai-prices is not'],
      ['test/a.test.ts', "import { a } from 'left-pad';", 'left-pad is not installed'],
    ],
    breaches: (files) => {
      const { dependencies, devDependencies } = manifestOf(files);
      const isInstalled = (path: string, name: string) =>
        name in dependencies ||
        (path.startsWith('test/') && name in devDependencies) ||
        DEVELOPMENT_IMPORTS.some(([from, allowed]) => path.startsWith(from) && name === allowed);
      return codeOf(files).flatMap(([path, text]) =>
        importsOf(path, text)
          .flatMap(({ packageName }) => packageName ?? [])
          .filter((name) => !isInstalled(path, name))
          .map((name) => `${path}: ${name} is not installed where it runs`),
      );
    },
  },
  {
    name: 'every package that is installed is used',
    samples: [['package.json', packageJson({ dependencies: { 'left-pad': '1.3.0' } }), 'left-pad']],
    breaches: (files) => {
      const { dependencies, devDependencies } = manifestOf(files);
      const namesIn = (paths: readonly (readonly [string, string])[]) =>
        new Set(paths.flatMap(([path, text]) => importsOf(path, text).map(({ packageName }) => packageName)));
      const [running, anywhere] = [namesIn(sourcesOf(files)), namesIn(codeOf(files))];
      return [
        ...Object.keys(dependencies).filter((name) => !running.has(name)),
        ...Object.keys(devDependencies).filter((name) => !anywhere.has(name) && !NOT_IMPORTED.includes(name)),
      ];
    },
  },
  {
    name: 'packages have exact versions, and those of Temporal the same one',
    samples: [
      ['package.json', packageJson({ dependencies: { zod: '^4.0.0' } }), 'zod ^4.0.0'],
      ['package.json', packageJson({ devDependencies: { zod: 'latest' } }), 'zod latest'],
      [
        'package.json',
        packageJson({ dependencies: { '@temporalio/a': '1.1.0', '@temporalio/b': '1.2.0' } }),
        '@temporalio has the versions 1.1.0, 1.2.0',
      ],
    ],
    breaches: (files) => {
      const { dependencies, devDependencies } = manifestOf(files);
      const all = Object.entries({ ...dependencies, ...devDependencies });
      const temporal = all.filter(([name]) => name.startsWith('@temporalio/')).map(([, version]) => version);
      const versions = [...new Set(temporal)];
      return [
        ...all.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version)).map((each) => each.join(' ')),
        ...(versions.length > 1 ? [`@temporalio has the versions ${versions.join(', ')}`] : []),
      ];
    },
  },
  {
    name: 'the lockfile is that of package.json and names no registry',
    samples: [
      [
        'package-lock.json',
        lockfile({ '': {}, 'node_modules/a': { resolved: 'x' } }),
        'node_modules/a resolved',
      ],
      ['package-lock.json', lockfile({ '': { dependencies: { zod: '1.0.0' } } }), 'other dependencies'],
    ],
    breaches: (files) => {
      const { packages } = LOCKFILE.parse(JSON.parse(files.get('package-lock.json') ?? ''));
      const { dependencies, devDependencies } = manifestOf(files);
      const root = MANIFEST.parse(packages[''] ?? {});
      const isSame = JSON.stringify(root) === JSON.stringify({ dependencies, devDependencies });
      return [
        ...(isSame ? [] : ['other dependencies than package.json']),
        ...Object.entries(packages)
          .filter(([, entry]) => 'resolved' in entry)
          .map(([path]) => `${path} resolved`),
      ];
    },
  },
  {
    name: 'files of code are named in kebab-case, for what they hold',
    samples: [
      ['services/domain/fooBar.ts', '', 'services/domain/fooBar.ts'],
      ['test/support/string-utils.ts', '', 'test/support/string-utils.ts'],
      ['workflows/helpers/a.ts', '', 'workflows/helpers/a.ts'],
    ],
    breaches: (files) =>
      codeOf(files)
        .map(([path]) => path)
        .filter((path) => {
          const words = path.split(/[/.-]/);
          const isKebab = /^(?:[a-z0-9]+(?:-[a-z0-9]+)*\/)*[a-z0-9]+(?:[-.][a-z0-9]+)*\.(?:ts|mjs)$/;
          return !isKebab.test(path) || words.some((word) => SAYS_NOTHING.test(word));
        }),
  },
  {
    name: `files of code have at most ${LINES_MAX} lines`,
    samples: [['workflows/a.ts', '\n'.repeat(LINES_MAX + 1), `workflows/a.ts has ${LINES_MAX + 1} lines`]],
    // A test file is a list of guarantees about one feature, which is read one by one.
    breaches: (files) =>
      codeOf(files)
        .filter(([path]) => !path.endsWith('.test.ts'))
        .map(([path, text]) => [path, text.split('\n').length - 1] as const)
        .filter(([, lines]) => lines > LINES_MAX)
        .map(([path, lines]) => `${path} has ${lines} lines`),
  },
  {
    name: 'nothing is left for later',
    samples: [
      ['services/domain/a.ts', `// ${'TO'}${'DO'}: the rest`, 'services/domain/a.ts:1'],
      ['README.md', `Text\n${'FIX'}${'ME'}`, 'README.md:2'],
    ],
    breaches: linesThatMatch(/\b(?:TOD[O]|FIXM[E]|XX[X])\b/),
  },
  {
    name: 'no test is left out or runs alone',
    samples: [
      ['test/a.test.ts', `test${'.on'}ly('a', () => undefined);`, 'test/a.test.ts:1'],
      ['test/a.test.ts', `describe.each([1])${'.sk'}ip('a', () => undefined);`, 'test/a.test.ts:1'],
    ],
    breaches: (files) =>
      linesThatMatch(/\b(?:test|it|describe)\b.*\.(?:only|skip|todo|fails)\b/)(
        new Map(codeOf(files).filter(([path]) => path.startsWith('test/'))),
      ),
  },
  {
    name: 'no place on one machine or in one network is named',
    samples: [
      ['README.md', `cd /${'root'}/project`, 'README.md:1'],
      ['services/a.ts', `'/${'home'}/ada/notes.txt'`, 'services/a.ts:1'],
      ['README.md', `C:\\${'Users'}\\ada`, 'README.md:1'],
      ['README.md', `see ../${'shared'}/notes`, 'README.md:1'],
      ['.npmrc', `registry=https://${'npm'}.example.com/`, '.npmrc:1'],
      ['services/a.ts', `'https://packages.${'corp'}/simple'`, 'services/a.ts:1'],
      ['services/a.ts', `'http://192${'.168.'}0.7:27017'`, 'services/a.ts:1'],
    ],
    breaches: linesThatMatch(
      new RegExp(
        [
          // The home of Temporal's image is a place in a container.
          /\/(?:root|work|Users)\/|\/home\/(?!temporal\b)|\b[A-Z]:\\+Users\\/,
          /\.\.\/share[d]\b/,
          /^\s*registry\s*=|https?:\/\/[^/\s'"]*(?:registry|mirror|artifactory|nexus|\.internal|\.corp|\.lan)\b/,
          /\b(?:10\.\d+|172\.(?:1[6-9]|2\d|3[01])|192\.168)\.\d+\.\d+\b/,
        ]
          .map(({ source }) => source)
          .join('|'),
      ),
    ),
  },
  {
    name: "every folder of code is in ARCHITECTURE.md's code map",
    samples: [['services/unheard-of/a.ts', '', 'services/unheard-of']],
    breaches: (files) => {
      const map = files.get('ARCHITECTURE.md') ?? '';
      const folders = new Set(sourcesOf(files).map(([path]) => dirname(path)));
      return [...folders].filter(
        (folder) => !map.includes(`\`${folder}\``) && !map.includes(`${basename(folder)}/`),
      );
    },
  },
  {
    name: "ARCHITECTURE.md's table of imports is the one that is held here",
    samples: [
      [
        'ARCHITECTURE.md',
        '| folder | may import |\n|---|---|\n| `domain` | `ledger` |\n',
        'services/domain: services/le',
      ],
      ['ARCHITECTURE.md', '| folder | may import |\n|---|---|\n', 'services/server is missing'],
    ],
    breaches: (files) => {
      const [, table = ''] = (files.get('ARCHITECTURE.md') ?? '').split(/^\| folder \| may import \|\n.*\n/m);
      const rows = /^(?:\|.*\n)*/.exec(table)?.[0].trim().split('\n') ?? [];
      const stated = new Map(
        rows.flatMap((row) => {
          const [, left = '', right = ''] = row.split('|');
          const allowed = layersNamedIn(right).join(', ');
          return layersNamedIn(left).map((layer) => [layer, allowed] as const);
        }),
      );
      return Object.entries(LAYERS).flatMap(([layer, allowed]) => {
        const said = stated.get(layer);
        if (said === undefined) return [`${layer} is missing`];
        return said === [...allowed].sort().join(', ') ? [] : [`${layer}: ${said}`];
      });
    },
  },
  {
    name: 'the documents of the project are there',
    samples: [['CHANGELOG.md', '', 'CHANGELOG.md']],
    breaches: (files) => DOCUMENTS.filter((name) => (files.get(name) ?? '').trim() === ''),
  },
];

const projectFiles = readProject();

test.each(RULES.map((rule) => [rule.name, rule] as const))('%s', (_name, { breaches }) => {
  expect(breaches(projectFiles)).toEqual([]);
});

describe('a breach is found', () => {
  const cases = RULES.flatMap(({ name, samples, breaches }) =>
    samples.map(([path, text, breach]) => [name, path, text, breach, breaches] as const),
  );
  test.each(cases)('of "%s" in %s', (_name, path, text, breach, breaches) => {
    const before = breaches(projectFiles);
    const found = breaches(new Map([...projectFiles, [path, text]]));
    expect(found.filter((each) => !before.includes(each))).toContainEqual(expect.stringContaining(breach));
  });

  test('also when a circle of imports has several files', () => {
    const circle = new Map([
      ['services/domain/a.ts', "import { b } from './b.js';"],
      ['services/domain/b.ts', "import { c } from '../ledger/c.js';"],
      ['services/ledger/c.ts', "export type { A } from '../domain/a.js';"],
    ]);
    expect(findCycles(circle)).toEqual([
      'services/domain/a.ts > services/domain/b.ts > services/ledger/c.ts > services/domain/a.ts',
    ]);
  });
});

test('the type of the logger alone is what the plugin may take from the runtime', () => {
  const [layers] = RULES;
  const breachesOf = (text: string) => layers?.breaches(new Map([['workflows/plugin/a.ts', text]]));
  expect(breachesOf("import type { Logger } from '../../services/runtime/logger.js';")).toEqual([]);
  expect(breachesOf("import { createLogger } from '../../services/runtime/logger.js';")).toHaveLength(1);
  expect(breachesOf("import type { Running } from '../../services/runtime/process.js';")).toHaveLength(1);
});

test('the script that installs the packages needs none', () => {
  const path = 'services/stack/prepare.mjs';
  expect(projectFiles.get(path)).toContain("from 'node:fs'");
  expect(importsOf(path, projectFiles.get(path) ?? '')).toEqual([]);
});

// What files hold

/** Words under which anything can be put. */
const SAYS_NOTHING = /^(?:helper|util|utilitie|manager|common|misc)s?$/;

/** Code that runs: all but the tests. */
function sourcesOf(files: Files): readonly (readonly [path: string, text: string])[] {
  return codeOf(files).filter(([path]) => /^(?:services|workflows)\//.test(path));
}

function codeOf(files: Files): readonly (readonly [path: string, text: string])[] {
  return [...files].filter(([path]) => /^(?:services|workflows|test)\/.*\.(?:ts|mjs)$/.test(path));
}

function layerOf(path: string): string {
  const [first = '', second = ''] = path.split('/');
  return first === 'services' || `${first}/${second}` === 'workflows/plugin' ? `${first}/${second}` : first;
}

/** Folders in backticks, as a document calls them: `ledger` for services/ledger. */
function layersNamedIn(text: string): readonly string[] {
  return [...text.matchAll(/`([\w/-]+)`/g)]
    .map(([, name = '']) => name.replace(/^plugin$/, 'workflows/plugin'))
    .map((name) => (name in LAYERS ? name : `services/${name}`))
    .sort();
}

interface Import {
  /** Of ours: the path from the root. */
  readonly file?: string;
  /** Anybody else's; neither is given for a module of Node. */
  readonly packageName?: string;
  readonly isType: boolean;
}

const IMPORT = new RegExp(
  [
    /^(?:import|export)\s(?<clause>[^'"`;]*)\bfrom\s+'(?<from>[^']+)'/,
    /^import '(?<effect>[^']+)'/,
    /\bimport\(\s*'(?<dynamic>[^']+)'/,
    /\bcreateRequire\([^)]*\)(?:\.resolve)?\('(?<required>[^']+)'\)/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'gm',
);

function importsOf(path: string, text: string): readonly Import[] {
  return [...text.matchAll(IMPORT)].flatMap(({ groups = {} }): Import[] => {
    const { clause = '', from, effect, dynamic, required } = groups;
    const specifier = from ?? effect ?? dynamic ?? required ?? '';
    const isType = clause.startsWith('type ');
    if (specifier.startsWith('node:')) return [];
    if (specifier.startsWith('.')) {
      const file = normalize(join(dirname(path), specifier))
        .replaceAll('\\', '/')
        .replace(/\.js$/, '.ts');
      return [{ file, isType }];
    }
    const parts = specifier.split('/');
    return [{ packageName: parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/'), isType }];
  });
}

/** Every circle of imports, once, as its files from the first that is met to that one again. */
function findCycles(files: Files): readonly string[] {
  const imports = new Map(
    codeOf(files).map(([path, text]) => [path, importsOf(path, text).flatMap(({ file }) => file ?? [])]),
  );
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) cycles.push([...trail.slice(start), path].join(' > '));
    if (start >= 0 || done.has(path)) return;
    for (const next of imports.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of imports.keys()) visit(path, []);
  return cycles;
}

/** Breaches `path:line` in all files of text; those that are data or somebody else's words are left out. */
function linesThatMatch(pattern: RegExp): Rule['breaches'] {
  return (files) =>
    [...files]
      .filter(([path]) => !['LICENSE', 'package-lock.json', 'services/pricing/catalogue.json'].includes(path))
      .flatMap(([path, text]) =>
        text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}`] : [])),
      );
}

const VERSIONS = z.record(z.string(), z.string()).default({});
const MANIFEST = z.object({ dependencies: VERSIONS, devDependencies: VERSIONS });
const LOCKFILE = z.object({ packages: z.record(z.string(), z.looseObject({})) });

function manifestOf(files: Files): z.infer<typeof MANIFEST> {
  return MANIFEST.parse(JSON.parse(files.get('package.json') ?? ''));
}

function packageJson(content: Partial<z.infer<typeof MANIFEST>>): string {
  return JSON.stringify(content);
}

function lockfile(packages: Readonly<Record<string, object>>): string {
  return JSON.stringify({ packages });
}

/** All files that are in the repository or would be with the next commit. */
function readProject(): Files {
  const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const paths = execFileSync('git', list, { cwd: PACKAGE_ROOT, encoding: 'utf8' }).split('\0');
  const isText = (path: string) => path !== '' && !/\.(?:binpb|png|gif|pdf)$/.test(path);
  return new Map(
    [...new Set(paths)]
      .filter(
        (path) => isText(path) && statSync(join(PACKAGE_ROOT, path), { throwIfNoEntry: false })?.isFile(),
      )
      .sort()
      .map((path) => [path, readFileSync(join(PACKAGE_ROOT, path), 'utf8')]),
  );
}
