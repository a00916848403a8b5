import type { DefaultTheme } from 'vitepress';

export const search: { provider: 'local'; options: DefaultTheme.LocalSearchOptions } = {
  provider: 'local',
  options: {
    // A page is found by its text, and by the questions that it answers: `answers` of its frontmatter.
    _render: (source, env, md) => {
      const html = md.render(source, env);
      const { answers } = (env.frontmatter ?? {}) as { answers?: readonly string[] };
      if (answers === undefined) return html;
      return html.replace('</h1>', `</h1><p>${md.utils.escapeHtml(answers.join('. '))}</p>`);
    },
    miniSearch: {
      options: {
        // Chinese has no spaces between words.
        tokenize: (text) => {
          const words = text.split(/[\n\r\p{Z}\p{P}]+/u);
          if (!/\p{Script=Han}/u.test(text)) return words;
          const segmenter = new Intl.Segmenter('zh', { granularity: 'word' });
          return words.flatMap((word) => [...segmenter.segment(word)].map(({ segment }) => segment));
        },
      },
      searchOptions: {
        // Words that nearly every section has say little, but all the same `IN` may be what is looked for.
        boostTerm: (term: string) =>
          /^(?:an?|by|do|for|how|i|in|is|of|on|the|to|with)$/.test(term) ? 0.2 : 1,
        // The guides answer questions; the reference is for names, and the lists of the changelog have the words of every question.
        boostDocument: (id: string) => (/\/(?:reference\/|changelog)/.test(id) ? 0.4 : 1),
      },
    },
    locales: {
      zh: {
        translations: {
          button: { buttonText: '搜索', buttonAriaLabel: '搜索' },
          modal: {
            displayDetails: '显示详情',
            resetButtonTitle: '清除',
            backButtonTitle: '关闭',
            noResultsText: '没有结果：',
            footer: { selectText: '选择', navigateText: '切换', closeText: '关闭' },
          },
        },
      },
    },
  },
};
