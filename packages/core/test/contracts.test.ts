import { datapathContract, memoryDatapath, memoryStore, storeContract } from '@weave/core/testing';
import t from 'tap';

t.test('the kernel in memory keeps the contract of the datapath', async (t) => {
  for (const { name, run } of datapathContract)
    await t.test(name, async () => {
      const datapath = memoryDatapath();
      let made = 0;
      await run({
        datapath,
        newNamespace: async () => {
          const path = `/netns/${++made}`;
          datapath.addNamespace(path);
          return path;
        },
        removeNamespace: async (path) => datapath.removeNamespace(path),
      });
    });
});

t.test('the store in memory keeps the contract of the store', async (t) => {
  for (const { name, run } of storeContract)
    await t.test(name, async () => {
      let store = memoryStore();
      await run({
        store,
        openAgain: () => store.openAgain(),
        reopen: () => {
          store = store.reopen();
          return store;
        },
      });
    });
});
